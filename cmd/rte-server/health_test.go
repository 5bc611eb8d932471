package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/console"
)

func TestHealth_findsConfiguredPort(t *testing.T) {
	p := start(t, serveArgs()...)
	p.expectHealth(p.operators+"/readyz", 200)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(p.operators, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"ready\n": {
			"--url=" + p.operators, "--url=" + p.operators + "/", "--console.listen=127.0.0.1:" + port,
			"--console.listen=:" + port, "--console.listen=0.0.0.0:" + port,
		},
		"alive\n": {"--live --url=" + p.operators},
	} {
		for _, arg := range args {
			if got := mustCommand(t, "", append([]string{"health"}, strings.Fields(arg)...)...); got != want {
				t.Errorf("health %s: %q, want %q", arg, got, want)
			}
		}
	}
}

func TestConsoleURL_usesLoopback(t *testing.T) {
	for listen, want := range map[string]string{
		"127.0.0.1:9090": "http://127.0.0.1:9090",
		"localhost:9090": "http://localhost:9090",
		"10.0.0.1:9090":  "http://10.0.0.1:9090",
		":9090":          "http://127.0.0.1:9090",
		"0.0.0.0:9090":   "http://127.0.0.1:9090",
		"[::]:9090":      "http://[::1]:9090",
	} {
		c := config.Default()
		c.Console.Listen = listen
		if got, err := consoleURL(c); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", listen, got, err, want)
		}
	}
}

func TestHealth_reportsState(t *testing.T) {
	problem := "not connected"
	check := console.Check{Name: "backplane", Problem: func() string { return problem }}
	readiness := console.NewReadiness(check)
	server, err := console.New(console.Options{Readiness: readiness, Gatherer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	port := httptest.NewServer(server)
	defer port.Close()
	expect := func(wantCode int, want string, args ...string) {
		t.Helper()
		stdout, stderr, err := command(t, "", append([]string{"health", "--url", port.URL}, args...)...)
		if code := exitCode(err); code != wantCode || stdout+stderr != want {
			t.Errorf("ended with %d: %q, want %d: %q", code, stdout+stderr, wantCode, want)
		}
	}
	expect(1, "rte-server: not ready: starting: \"backplane\": \"not connected\"\n")
	expect(0, "alive\n", "--live")
	problem = ""
	readiness.Ready()
	expect(0, "ready\n")
	problem = "no connection"
	expect(0, "degraded: \"backplane\": \"no connection\"\n")
	readiness.Draining()
	problem = ""
	expect(1, "rte-server: not ready: draining\n")
	expect(0, "alive\n", "--live")
}

func TestHealth_refusesOtherAnswers(t *testing.T) {
	for want, handler := range map[string]http.HandlerFunc{
		"/healthz answered 500": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"/readyz answered 200":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("welcome\n")) },
	} {
		port := httptest.NewServer(handler)
		_, stderr, err := command(t, "", "health", "--url", port.URL)
		port.Close()
		if exitCode(err) != 1 || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("ended with %v: %q, want %q", err, stderr, want)
		}
	}
}

func TestHealth_givesUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	answering := make(chan struct{})
	port := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(answering)
		<-r.Context().Done() // the command has given up
	}))
	defer port.Close()
	go func() {
		<-answering
		cancel()
	}()
	if err := checkHealth(ctx, http.DefaultClient, &bytes.Buffer{}, port.URL, false); err == nil {
		t.Error("a server that does not answer is ready")
	}
}
