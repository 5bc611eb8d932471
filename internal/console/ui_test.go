package console_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rte-server/rte-server/internal/console"
)

// TestConsole_allowsOnlyItsOwnFiles reads the page and the files to which it refers.
func TestConsole_allowsOnlyItsOwnFiles(t *testing.T) {
	s := mustNew(t, console.Options{
		Readiness: console.NewReadiness(), Gatherer: prometheus.NewRegistry(), Token: "secret",
	})
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "http://rte.example"+path, http.NoBody)
		r.Header.Set("Accept", "text/html")
		s.ServeHTTP(w, r)
		return w
	}
	if to := get("/").Header().Get("Location"); to != "/console/" {
		t.Errorf("the root leads to %q", to)
	}
	page := get("/console/")
	policy := page.Header().Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(policy, part) {
			t.Errorf("the policy %q lacks %q", policy, part)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
	if body := get("/console/access.json").Body.String(); strings.TrimSpace(body) != `{"token":true}` {
		t.Errorf("access.json has %s", body)
	}
	html := page.Body.String()
	if regexp.MustCompile(`(?i)<style|<script>|\son\w+=|\sstyle=|https?://`).MatchString(html) {
		t.Errorf("the page has something inline or foreign:\n%s", html)
	}
	for _, match := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(html, -1) {
		if w := get("/console/" + match[1]); w.Code != http.StatusOK || w.Header().Get("Content-Security-Policy") == "" {
			t.Errorf("%s: %d %v", match[1], w.Code, w.Header())
		}
	}
}
