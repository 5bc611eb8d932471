package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// patience bounds the wait for an outcome that must come.
const patience = time.Minute

// running is the program in this process, with ports of its own.
type running struct {
	t      *testing.T
	cancel context.CancelFunc
	done   chan error // gets the result of run
	output *recorder

	clients, operators string // URLs
	token              string // of operators; empty: none
	recorded           func() // ends the recording of its metrics
}

// leakChecks has each *testing.T whose first program looks for leaked goroutines.
var leakChecks sync.Map

// start runs a command that serves, and waits until its ports are open. The end of the test stops it.
func start(t *testing.T, args ...string) *running {
	t.Helper()
	// The first program of a test looks for leaks, after all of them have stopped: when a second one starts, the first
	// may still be connecting to Redis.
	if _, further := leakChecks.LoadOrStore(t, true); !further {
		before := goleak.IgnoreCurrent()
		// go-redis sleeps for a second between two attempts to reach a server.
		dialing := goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial")
		t.Cleanup(func() {
			leakChecks.Delete(t)
			goleak.VerifyNone(t, before, dialing)
		})
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &running{t: t, cancel: cancel, done: make(chan error, 1), output: &recorder{lines: make(chan string, 1000)}}
	args = slices.Insert(
		slices.Clone(args), 1, "--listen=127.0.0.1:0", "--console.listen=127.0.0.1:0", "--log.format=json",
	)
	go func() { p.done <- run(ctx, args, nil, strings.NewReader(""), p.output, p.output) }()
	t.Cleanup(func() {
		p.stop()
		if tokenPattern.MatchString(p.output.text()) {
			t.Error("a token is in the log")
		}
		if t.Failed() {
			t.Logf("output:\n%s", p.output.text())
		}
	})
	p.operators = "http://" + p.logged("listening for operators").Address
	p.clients = "http://" + p.logged("listening for clients").Address
	for _, arg := range args {
		if token, ok := strings.CutPrefix(arg, "--console.token="); ok {
			p.token = token
		}
	}
	p.recorded = p.follow()
	return p
}

// tokenPattern matches the beginning of a JWT. A random id may begin alike, but has no dot.
var tokenPattern = regexp.MustCompile(`eyJ[\w-]+\.`)

// stop stops the program as a signal does, and checks that it ends without an error.
func (p *running) stop() {
	p.t.Helper()
	if p.recorded != nil {
		p.recorded()
	}
	p.cancel()
	select {
	case err := <-p.done:
		if err != nil {
			p.t.Errorf("the program ended with %v", err)
		}
		p.done <- nil // for the next stop
	case <-time.After(patience):
		p.t.Fatal("the program did not stop")
	}
}

// logLine is a line of the log.
type logLine struct {
	Level, Msg, Address, Option, Over string
}

// logged waits for a line of the log.
func (p *running) logged(message string) logLine {
	p.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case text := <-p.output.lines:
			var line logLine
			if json.Unmarshal([]byte(text), &line) == nil && line.Msg == message {
				return line
			}
		case err := <-p.done:
			p.done <- err
			p.t.Fatalf("the program ended before it logged %q: %v\n%s", message, err, p.output.text())
		case <-timeout:
			p.t.Fatalf("waited in vain for %q in the log", message)
		}
	}
}

// metric returns the value of a metric; empty if there is none with that name.
func (p *running) metric(name string) string {
	p.t.Helper()
	_, body := fetch(p.t, http.MethodGet, p.operators+"/metrics")
	if r := p.recorder(); r != nil {
		r.take(body)
	}
	for line := range strings.Lines(body) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// recorder records the output of the program and passes on its lines.
type recorder struct {
	lines chan string // nil: not passed on; lines without room are skipped

	mu  sync.Mutex
	all bytes.Buffer // guarded by mu
}

// Write takes whole lines.
func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for line := range strings.Lines(string(p)) {
		select {
		case r.lines <- line:
		default:
		}
	}
	return r.all.Write(p)
}

// text returns the output so far.
func (r *recorder) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all.String()
}

// fetch sends a request without a body.
func fetch(t *testing.T, method, url string, header ...string) (status int, body string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	return fetchWith(t, client, method, url, header...)
}

// fetchWith sends a request without a body through a client.
func fetchWith(t *testing.T, client *http.Client, method, url string, header ...string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(patience)
	for !condition() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// command runs a command to its end.
func command(t *testing.T, stdin string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out, errOut bytes.Buffer
	err = run(ctx, args, []string{"RTE_AUTH_HMAC_SECRET=" + rtetest.Secret}, strings.NewReader(stdin), &out, &errOut)
	return out.String(), errOut.String(), err
}

// mustCommand runs a command that must succeed.
func mustCommand(t *testing.T, stdin string, args ...string) (stdout string) {
	t.Helper()
	stdout, stderr, err := command(t, stdin, args...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, stderr)
	}
	return stdout
}
