package helpers

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// requestLog is a load balancer that logs the URLs of requests.
type requestLog struct {
	*httptest.Server
	mu     sync.Mutex
	urls   []string // guarded by mu
	tokens int      // of upgrades with a token; guarded by mu
	small  int      // upgrades with compression; guarded by mu
}

func newRequestLog(t *testing.T, host string) *requestLog {
	t.Helper()
	l := &requestLog{}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: host})
	proxy.ModifyResponse = func(r *http.Response) error {
		if strings.HasPrefix(r.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate;") {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.small++
		}
		return nil
	}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		l.urls = append(l.urls, r.URL.String())
		if r.Header.Get("Upgrade") != "" && (r.Header.Get("Authorization") != "" || r.URL.Query().Has("access_token")) {
			l.tokens++
		}
		l.mu.Unlock()
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(l.Close)
	return l
}

// Browsers put the token into the URL of the WebSocket, and load balancers log URLs. With auth.websocket_ticket the
// helper sends no token in the URL, in pages and in Node.
func TestHelper_needsNoTokenForTheWebSocket(t *testing.T) {
	for name, start := range map[string]func(*testing.T, *stage) *application{
		"browser": inBrowser,
		"node":    func(t *testing.T, s *stage) *application { return inNode(t, s, "index.js") },
	} {
		for setting, tokens := range map[string]bool{"true": false, "false": true} {
			t.Run(name+"/"+setting, func(t *testing.T) {
				s := newStage(t, rtetest.Settings{"auth.websocket_ticket": setting, "auth.refresh": "true"})
				log := newRequestLog(t, s.server.Host)
				s.setEndpoint("ws" + strings.TrimPrefix(log.URL, "http") + "/rte")
				app := start(t, s)
				app.subscribe(topics())
				app.do("start", nil, nil)
				app.awaitState("right")
				log.mu.Lock()
				defer log.mu.Unlock()
				if len(log.urls) < 2 || tokens != (log.tokens > 0) {
					t.Errorf("%d upgrades with a token, want any: %v; %d requests", log.tokens, tokens, len(log.urls))
				}
				for _, each := range log.urls {
					want := tokens && name == "browser" && strings.Contains(each, "id=")
					if got := strings.Contains(each, "eyJ"); got != want {
						t.Errorf("a token in the URL: %v, want %v: %s", got, want, each)
					}
				}
			})
		}
	}
}
