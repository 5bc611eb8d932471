package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// expectHealth waits until a path answers a status and a body that contains all of the words.
func (p *running) expectHealth(url string, status int, words ...string) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("%s to answer %d %q", url, status, words), func() bool {
		code, body := fetch(p.t, "GET", url)
		for _, word := range words {
			if !strings.Contains(body, word) {
				return false
			}
		}
		return code == status
	})
}

// A node that had never reached Redis was ready and, as the emptiest one, drew all clients.
func TestServe_startsWithoutRedis(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	redis.Kill()
	p := start(t, serveArgs("--redis.addresses="+redis.Addr, "--health.path=/health", "--redis.probe_interval=100ms",
		"--redis.probe_timeout=500ms")...)
	p.expectHealth(p.operators+"/readyz", 503, `"state":"starting"`, `"check":"backplane"`)
	p.expectHealth(p.clients+"/health", 503, `{"state":"starting"}`)

	redis.Start()
	p.expectHealth(p.operators+"/readyz", 200, `{"state":"ready"}`)
	p.expectHealth(p.operators+"/readyz?strict", 200, `{"state":"ready"}`)
	p.expectHealth(p.clients+"/health/", 200, `{"state":"ready"}`)

	redis.Kill()
	p.expectHealth(p.operators+"/readyz", 200, `"state":"degraded"`, `"check":"backplane"`)
	p.expectHealth(p.operators+"/readyz?strict", 503, `"state":"degraded"`)
	p.expectHealth(p.clients+"/health", 200, `{"state":"degraded"}`)
	p.expectHealth(p.clients+"/health?strict", 503, `{"state":"degraded"}`)
	if got := mustCommand(t, "", "health", "--url="+p.operators); !strings.HasPrefix(got, `degraded: "backplane": `) {
		t.Errorf("health printed %q", got)
	}
	if status, _ := fetch(t, "POST", p.clients+"/health"); status != 404 {
		t.Errorf("POST answered %d, want 404", status)
	}
}

func TestServe_startupTimeoutEndsTheWait(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	redis.Kill()
	p := start(t, serveArgs("--redis.addresses="+redis.Addr, "--startup.timeout=300ms")...)
	p.expectHealth(p.operators+"/readyz", 200, `"state":"degraded"`, `"check":"backplane"`)
}

// A node whose key set was never read was ready and refused every client.
func TestServe_startsWithoutKeys(t *testing.T) {
	var up atomic.Bool
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		public, _, err := ed25519.GenerateKey(rand.Reader)
		if err != nil || !up.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_, _ = fmt.Fprintf(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1","x":%q}]}`,
			base64.RawURLEncoding.EncodeToString(public))
	}))
	t.Cleanup(keys.Close)
	url := "--auth.jwks_url=" + keys.URL + "/secret/path"

	only := start(t, "serve", url, "--startup.timeout=200ms", "--shutdown.delay=0s", "--shutdown.drain=0s")
	only.logged("missing after startup.timeout")
	only.expectHealth(only.operators+"/readyz", 503, `"state":"starting"`, `"check":"keys"`)
	if _, body := fetch(t, "GET", only.operators+"/readyz"); strings.Contains(body, "secret") {
		t.Errorf("the answer has the path of the URL: %s", body)
	}
	// With another key the node is of use to the clients that it knows.
	other := start(t, serveArgs(url, "--startup.timeout=200ms")...)
	other.expectHealth(other.operators+"/readyz", 200, `"state":"degraded"`, `"check":"keys"`)

	up.Store(true)
	only.expectHealth(only.operators+"/readyz", 200, `{"state":"ready"}`)
	other.expectHealth(other.operators+"/readyz", 200, `{"state":"ready"}`)
}

// A node with a dead directory was ready.
func TestServe_startsWithoutDirectory(t *testing.T) {
	var down atomic.Bool
	down.Store(true)
	directory := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte(`{"entities":[]}`))
	}))
	t.Cleanup(directory.Close)
	p := start(t, serveArgs("--directory.kind=http", "--directory.url="+directory.URL)...)
	p.expectHealth(p.operators+"/readyz", 503, `"state":"starting"`, `"check":"directory"`)
	down.Store(false)
	p.expectHealth(p.operators+"/readyz", 200, `{"state":"ready"}`)

	down.Store(true)
	subscriber := p.connect(testToken(t, testOrganization), "")
	for range 5 {
		subscriber.subscribe(testUser, "UserStatus")
	}
	p.expectHealth(p.operators+"/readyz", 200, `"state":"degraded"`, `"check":"directory"`)
	down.Store(false) // without another call
	p.expectHealth(p.operators+"/readyz", 200, `{"state":"ready"}`)
}
