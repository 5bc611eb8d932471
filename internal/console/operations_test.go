package console_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rte-server/rte-server/internal/console"
)

// newOperations makes a server without a token, with operations that return their parameters.
func newOperations(t *testing.T) *console.Server {
	t.Helper()
	return mustNew(t, console.Options{
		Readiness: console.NewReadiness(), Gatherer: prometheus.NewRegistry(),
		Operations: console.Operations{
			Revoke: func(_ context.Context, revocation []byte) (any, error) {
				switch text := string(revocation); text {
				case "bad":
					return nil, console.BadRequest("not so")
				case "full":
					return nil, errors.New("no room")
				default:
					return text, nil
				}
			},
			Explain:     echo,
			Connections: echo,
			Disconnect:  echo,
		},
	})
}

// echo returns the parameter user.
func echo(_ context.Context, query url.Values) (any, error) { return query.Get("user"), nil }

func TestServer_carriesOutOperations(t *testing.T) {
	s := newOperations(t)
	for name, test := range map[string]struct {
		method, target, body string
		header               []string
		status               int
		want                 string
	}{
		"revoked":               {"POST", "/api/revoke", "x", nil, 200, `"x"`},
		"mistake of the caller": {"POST", "/api/revoke", "bad", nil, 400, `{"error":"not so"}`},
		"not now":               {"POST", "/api/revoke", "full", nil, 503, `{"error":"no room"}`},
		"too long": {
			"POST", "/api/revoke", strings.Repeat("x", 5000), nil, 413, `{"error":"the body is longer than 4096 bytes"}`,
		},
		"explained":              {"GET", "/api/explain?user=x", "", nil, 200, `"x"`},
		"listed":                 {"GET", "/api/connections?user=x", "", nil, 200, `"x"`},
		"disconnected":           {"POST", "/api/disconnect?user=x", "", nil, 200, `"x"`},
		"disconnected by a link": {"GET", "/api/disconnect?user=x", "", nil, 405, "Method Not Allowed"},
		"looked at":              {"GET", "/api/revoke", "", nil, 405, "Method Not Allowed"},
		"page of another origin": {
			"POST", "/api/revoke", "x", []string{"Sec-Fetch-Site", "cross-site"}, 403, "cross-origin request",
		},
		"page of an old browser": {
			"POST", "/api/revoke", "x", []string{"Origin", "https://evil.example"}, 403, "cross-origin request",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(test.method, "http://localhost"+test.target, strings.NewReader(test.body))
			for i := 0; i < len(test.header); i += 2 {
				r.Header.Set(test.header[i], test.header[i+1])
			}
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code != test.status || !strings.Contains(w.Body.String(), test.want) {
				t.Errorf("answered %d %s, want %d and %s", w.Code, w.Body, test.status, test.want)
			}
		})
	}
}

func TestServer_hasNoPathWithoutOperation(t *testing.T) {
	s := mustNew(t, console.Options{Readiness: console.NewReadiness(), Gatherer: prometheus.NewRegistry()})
	if status, _ := fetch(t, s, http.MethodPost, "http://localhost/api/revoke"); status != http.StatusNotFound {
		t.Errorf("answered %d", status)
	}
}
