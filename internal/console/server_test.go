package console_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rte-server/rte-server/internal/console"
)

// mustNew makes a server.
func mustNew(t *testing.T, o console.Options) *console.Server {
	t.Helper()
	s, err := console.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fetch sends a request to a server and returns status and body.
func fetch(t *testing.T, s http.Handler, method, target string, header ...string) (int, string) {
	t.Helper()
	r := httptest.NewRequest(method, target, http.NoBody)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(body)
}

func TestServer_reportsReadiness(t *testing.T) {
	problem := ""
	readiness := console.NewReadiness(console.Check{Name: "backplane", Problem: func() string { return problem }})
	s := mustNew(t, console.Options{Readiness: readiness, Gatherer: prometheus.NewRegistry()})

	for _, step := range []struct {
		name   string
		do     func()
		status int
		body   string
	}{
		{"starting", func() {}, 503, `{"state":"starting"}`},
		{"ready", readiness.Ready, 200, `{"state":"ready"}`},
		{
			"degraded and still wanted", func() { problem = "connection refused" },
			200, `{"state":"degraded","degraded":[{"check":"backplane","detail":"connection refused"}]}`,
		},
		{"well again", func() { problem = "" }, 200, `{"state":"ready"}`},
		{"draining", readiness.Draining, 503, `{"state":"draining"}`},
		{"draining for good", readiness.Ready, 503, `{"state":"draining"}`},
	} {
		step.do()
		status, body := fetch(t, s, "GET", "/readyz")
		if status != step.status || strings.TrimSpace(body) != step.body {
			t.Errorf("%s: %d %s, want %d %s", step.name, status, body, step.status, step.body)
		}
		if status, _ := fetch(t, s, "GET", "/healthz"); status != 200 {
			t.Errorf("%s: /healthz answered %d", step.name, status)
		}
	}
}

func TestServer_guardsPaths(t *testing.T) {
	const token = "let me in"
	open := mustNew(t, console.Options{Readiness: console.NewReadiness(), Gatherer: prometheus.NewRegistry()})
	closed := mustNew(t,
		console.Options{Readiness: console.NewReadiness(), Gatherer: prometheus.NewRegistry(), Token: token},
	)

	for _, test := range []struct {
		name   string
		server http.Handler
		target string
		header []string
		status int
	}{
		{"loopback address", open, "http://127.0.0.1:9090/metrics", nil, 200},
		{"loopback address of IPv6", open, "http://[::1]:9090/metrics", nil, 200},
		{"loopback name", open, "http://localhost/metrics", nil, 200},
		{"index", open, "http://localhost/", nil, 200},
		{"profiles", open, "http://localhost/debug/pprof/", nil, 200},
		{"unknown path", open, "http://localhost/nothing", nil, 404},
		{"another name for loopback", open, "http://evil.example:9090/metrics", nil, 403},
		{"name that begins like loopback", open, "http://127.0.0.1.evil.example/metrics", nil, 403},
		{"probe by any name", open, "http://rte.example/readyz", nil, 503},
		{"token", closed, "http://rte.example/metrics", []string{"Authorization", "Bearer " + token}, 200},
		{"scheme in lower case", closed, "http://rte.example/metrics", []string{"Authorization", "bearer " + token}, 200},
		{"no token", closed, "http://localhost/metrics", nil, 401},
		{"wrong token", closed, "http://localhost/metrics", []string{"Authorization", "Bearer let me"}, 401},
		{"wrong scheme", closed, "http://localhost/metrics", []string{"Authorization", "Basic " + token}, 401},
		{"profiles without token", closed, "http://localhost/debug/pprof/heap", nil, 401},
		{"root in a browser, without token", closed, "http://rte.example/", []string{"Accept", "text/html,*/*"}, 303},
		{"index without token", closed, "http://rte.example/", nil, 401},
		{"console without token", closed, "http://rte.example/console/", nil, 200},
		{"path beside the console", closed, "http://rte.example/console", nil, 307},
		{"unknown file of the console", closed, "http://rte.example/console/nothing", nil, 404},
		{"probe without token", closed, "http://rte.example/healthz", nil, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			if status, body := fetch(t, test.server, "GET", test.target, test.header...); status != test.status {
				t.Errorf("answered %d %s, want %d", status, body, test.status)
			}
		})
	}
}

// The first of two Authorization headers counted; a proxy may have checked the other one.
func TestServer_refusesTwoTokens(t *testing.T) {
	s := mustNew(t,
		console.Options{Readiness: console.NewReadiness(), Gatherer: prometheus.NewRegistry(), Token: "let me in"},
	)
	r := httptest.NewRequest(http.MethodGet, "http://localhost/metrics", nil)
	r.Header["Authorization"] = []string{"Bearer let me in", "Bearer something else"}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != http.StatusUnauthorized {
		t.Errorf("answered %d", w.Code)
	}
}

func TestServer_exposesReadiness(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	readiness := console.NewReadiness(console.Check{Name: "backplane", Problem: func() string { return "away" }})
	s := mustNew(t, console.Options{Readiness: readiness, Gatherer: reg, Registerer: reg})
	readiness.Ready()

	_, body := fetch(t, s, "GET", "http://localhost/metrics")
	for _, line := range []string{
		"rte_console_ready 1", `rte_console_degraded{check="backplane"} 1`,
		`rte_console_state{state="degraded"} 1`, `rte_console_state{state="ready"} 0`,
	} {
		if !strings.Contains(body, line+"\n") {
			t.Errorf("no line %q in\n%s", line, body)
		}
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("names of metrics: %v %v", problems, err)
	}
}

// A request without a token whose body did not arrive was held forever: the answer waited for the body, without a
// limit.
func TestServer_refusesBeforeTheBody(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	server := httptest.NewServer(mustNew(t, console.Options{
		Readiness: console.NewReadiness(), Gatherer: reg, Registerer: reg, Token: "let me in",
	}))
	defer server.Close()
	for _, authorization := range []string{"", "Authorization: Bearer let me\r\n"} {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		if _, err := io.WriteString(
			conn, "POST /api/revoke HTTP/1.1\r\nHost: localhost\r\n"+authorization+"Content-Length: 100\r\n\r\n{",
		); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn) // to the end of the connection
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 401 ") {
			t.Errorf("answered %q, %v", answer, err)
		}
	}
	want := `
		# HELP rte_console_requests_refused_total Refused requests to the operator port, by reason.
		# TYPE rte_console_requests_refused_total counter
		rte_console_requests_refused_total{reason="descriptors"} 0
		rte_console_requests_refused_total{reason="host"} 0
		rte_console_requests_refused_total{reason="no_token"} 1
		rte_console_requests_refused_total{reason="role"} 0
		rte_console_requests_refused_total{reason="too_many"} 0
		rte_console_requests_refused_total{reason="wrong_token"} 1
	`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "rte_console_requests_refused_total"); err != nil {
		t.Error(err)
	}
}

// TestServer_delaysWrongTokens checks that guessing is slow. A flood of guesses from many addresses does not hold many
// connections, and does not slow down the right token.
func TestServer_delaysWrongTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustNew(t,
			console.Options{Readiness: console.NewReadiness(), Gatherer: prometheus.NewRegistry(), Token: "let me in"},
		)
		const requests = 200
		took := make(chan time.Duration, requests)
		for n := range requests {
			go func() {
				began := time.Now()
				if w := guess(s, fmt.Sprintf("192.0.2.%d:1", n), "x"); w.Code != http.StatusUnauthorized {
					t.Errorf("answered %d", w.Code)
				}
				took <- time.Since(began)
			}()
		}
		synctest.Wait()
		began := time.Now()
		if status, _ := fetch(
			t, s, "GET", "http://rte.example/metrics", "Authorization", "Bearer let me in",
		); status != 200 || time.Since(began) > 0 {
			t.Errorf("the right token: answered %d after %s", status, time.Since(began))
		}
		delayed := 0
		for range requests {
			if d := <-took; d > 0 {
				delayed++
			}
		}
		if delayed != 64 {
			t.Errorf("%d answers were delayed, want 64", delayed)
		}
	})
}

// TestServer_limitsAnswers checks that the server closes the connection of a caller that does not read its answer.
func TestServer_limitsAnswers(t *testing.T) {
	released := make(chan struct{})
	server := httptest.NewUnstartedServer(mustNew(t, console.Options{
		Readiness: console.NewReadiness(), Gatherer: prometheus.NewRegistry(), AnswerTimeout: 100 * time.Millisecond,
		Quarantine: func() any { return strings.Repeat("x", 64<<20) }, // more than fits into the buffers of a connection
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			close(released)
		}
	}
	server.Start()
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /api/quarantine HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-released:
	case <-time.After(time.Minute):
		t.Error("the connection is held")
	}
}

func TestNew_namesTheMissingField(t *testing.T) {
	for want, o := range map[string]console.Options{
		"console: Options.Readiness is required": {Gatherer: prometheus.NewRegistry()},
		"console: Options.Gatherer is required":  {Readiness: console.NewReadiness()},
	} {
		if _, err := console.New(o); err == nil || err.Error() != want {
			t.Errorf("New: %v, want %s", err, want)
		}
	}
	_, err := console.NewOperator(console.OperatorOptions{})
	if err == nil || !strings.HasPrefix(err.Error(), "console: OperatorOptions.") {
		t.Errorf("NewOperator: %v", err)
	}
}
