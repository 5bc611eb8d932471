package console_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rte-server/rte-server/internal/console"
)

// TestServer_allowsWhatTheRoleOfATokenMayDo tries each role on each kind of request, and reads the audit log.
func TestServer_allowsWhatTheRoleOfATokenMayDo(t *testing.T) {
	core, entries := observer.New(zap.InfoLevel)
	done := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }
	s := mustNew(t, console.Options{
		Readiness: console.NewReadiness(), Gatherer: prometheus.NewRegistry(),
		Quarantine: func() any { return "" }, Publish: http.HandlerFunc(done),
		Operations: console.Operations{Connections: echo, Disconnect: echo},
		Token:      "of operators", ReadToken: "of readers", PublishToken: "of publishers", Audit: zap.New(core),
	})
	for _, test := range []struct {
		method, path                string
		operator, reader, publisher int
	}{
		{"GET", "/metrics", 200, 200, 403},
		{"GET", "/api/connections?user=x", 200, 200, 403},
		{"GET", "/api/quarantine", 200, 403, 403},
		{"GET", "/debug/pprof/cmdline", 200, 403, 403},
		{"POST", "/api/disconnect?user=x", 200, 403, 403},
		{"POST", "/api/publish", 200, 403, 200},
	} {
		for token, want := range map[string]int{
			"of operators": test.operator, "of readers": test.reader, "of publishers": test.publisher, "of strangers": 401,
		} {
			r := httptest.NewRequest(test.method, "http://rte.example"+test.path, http.NoBody)
			r.Header.Set("Authorization", "Bearer "+token)
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("%s %s with the token %s: %d, want %d", test.method, test.path, token, w.Code, want)
			}
		}
	}
	actions := map[string]string{}
	for _, e := range entries.FilterMessage("operator").All() {
		fields := e.ContextMap()
		actions[fields["method"].(string)+" "+fields["path"].(string)+"?"+fields["query"].(string)] += " " +
			fields["who"].(string)
		if !strings.HasPrefix(fields["remote"].(string), "192.0.2.1:") || fields["status"] != int64(200) {
			t.Errorf("entry %v", fields)
		}
	}
	if got := actions["POST /api/disconnect?user=x"]; got != " operator" || len(actions) != 3 {
		t.Errorf("audit log %v", actions)
	}
}

// Without the tokens of other roles an empty token must open nothing.
func TestServer_hasNoEmptyToken(t *testing.T) {
	s := mustNew(t, console.Options{
		Readiness: console.NewReadiness(), Gatherer: prometheus.NewRegistry(), Token: "of operators",
	})
	if status, _ := fetch(t, s, "GET", "http://rte.example/metrics", "Authorization", "Bearer "); status != 401 {
		t.Errorf("answered %d", status)
	}
}
