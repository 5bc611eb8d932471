package rtetest

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Patience is the maximum time that a test waits for something that should happen at once.
const Patience = time.Minute

// Settings are configuration keys and their values.
type Settings map[string]string

// Server is a program in a process of its own, which serves until SIGTERM. Call its methods from the goroutine of the
// test.
type Server struct {
	// Host is the address for clients, as host:port. It does not change when the server starts again.
	Host string
	// HubURL is the URL of the hub.
	HubURL string
	// ConsoleURL is the URL of the operator port.
	ConsoleURL string

	t    testing.TB
	make func() *exec.Cmd
	log  recorder
	http *http.Client

	cmd     *exec.Cmd     // the command that was started last
	done    chan struct{} // closed at the end of its process
	stopped bool
}

// MustStartServer starts "rte-server serve" of the program at path and waits until it is ready. The configuration has
// the issuer, audience and secret of this package, and s. The end of the test stops the program and checks that it
// stopped cleanly and that its log contains no secret.
func MustStartServer(t testing.TB, path string, s Settings) *Server {
	t.Helper()
	return mustStartServer(t, loopback(t), MustFreeAddr(t), path, s)
}

// MustStartServer is the function MustStartServer for a server on the host. Host.Dial reaches both of its ports.
func (h *Host) MustStartServer(path string, s Settings) *Server {
	h.network.t.Helper()
	return mustStartServer(h.network.t, h.place("8080"), "127.0.0.1:9090", path, s)
}

// mustStartServer starts a server at a place. The address of the place is its address for clients.
func mustStartServer(t testing.TB, at place, console, path string, s Settings) *Server {
	t.Helper()
	listen := at.addr
	all := Settings{
		"listen":           listen,
		"console.listen":   console,
		"auth.hmac_secret": Secret,
		"auth.issuer":      Issuer,
		"auth.audience":    Audience,
		"directory.kind":   "claims",
		"log.format":       "json",
		"log.level":        "debug",
		"shutdown.delay":   "0s",
		"shutdown.drain":   "100ms",
		"shutdown.wait":    "0s",
	}
	maps.Copy(all, s)
	args := []string{"serve"}
	for key, value := range all {
		args = append(args, "--"+key+"="+value)
	}
	srv := newServer(t, func() *exec.Cmd { return at.command(path, args...) })
	srv.http.Transport = &http.Transport{DisableKeepAlives: true, DialContext: at.dial}
	srv.Host, srv.HubURL, srv.ConsoleURL = listen, "http://"+listen+"/rte", "http://"+console
	srv.Start()
	return srv
}

// MustStartProgram starts a command that serves until SIGTERM. The end of the test stops it like MustStartServer.
func MustStartProgram(t testing.TB, cmd *exec.Cmd) *Server {
	t.Helper()
	srv := newServer(t, func() *exec.Cmd { return cmd })
	srv.start()
	return srv
}

func newServer(t testing.TB, command func() *exec.Cmd) *Server {
	t.Helper()
	// The client keeps no connections, and so no goroutines.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: Patience}
	srv := &Server{t: t, make: command, http: client, stopped: true}
	t.Cleanup(func() {
		srv.Stop()
		if t.Failed() {
			t.Logf("log of %s:\n%s", filepath.Base(srv.cmd.Path), srv.Log())
		}
	})
	return srv
}

// Start starts the server again after Stop, with the same addresses, and waits until it wants connections.
func (s *Server) Start() {
	s.t.Helper()
	s.start()
	s.WaitFor("the node to want connections", func() bool {
		state := s.Readiness().State
		return state == "ready" || state == "degraded"
	})
}

// Unconfigured removes the variables that configure the program from an environment: tests must not depend on the
// settings of the person who runs them. It changes the slice.
func Unconfigured(environment []string) []string {
	return slices.DeleteFunc(environment, func(variable string) bool { return strings.HasPrefix(variable, "RTE_") })
}

func (s *Server) start() {
	s.t.Helper()
	cmd := s.make()
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = Unconfigured(cmd.Env)
	cmd.Env = append(cmd.Env, "GORACE=atexit_sleep_ms=0") // otherwise a program built with -race takes a second to end
	// The process has a group of its own, so that signals also reach its children.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait() // the result is in cmd.ProcessState
	}()
	s.cmd, s.done, s.stopped = cmd, done, false
}

// Stop ends the program with SIGTERM and checks that it ended cleanly. It does nothing if the program was stopped
// before.
func (s *Server) Stop() {
	s.t.Helper()
	s.StopLater(Patience)()
}

// StopLater sends SIGTERM and returns a function that waits for the end, up to a limit, and checks it as Stop does. The
// program can be used until then. Both do nothing if the program was stopped before.
func (s *Server) StopLater(limit time.Duration) (wait func()) {
	s.t.Helper()
	if s.stopped {
		return func() {}
	}
	s.stopped = true
	// make passes the signal on. A program that got it from make and from us would take the second one as an order to
	// end at once.
	receiver := -s.cmd.Process.Pid
	if filepath.Base(s.cmd.Path) == "make" {
		receiver = s.cmd.Process.Pid
	}
	_ = syscall.Kill(receiver, syscall.SIGTERM) // it may have ended already, which is found below
	return func() {
		s.t.Helper()
		s.awaitEnd(limit)
	}
}

// Kill ends the program at once, as a crash does.
func (s *Server) Kill() {
	s.t.Helper()
	s.stopped = true
	if err := syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL); err != nil {
		s.t.Fatal(err)
	}
	<-s.done
}

// awaitEnd waits for the end of the program and checks that it was clean.
func (s *Server) awaitEnd(limit time.Duration) {
	s.t.Helper()
	select {
	case <-s.done:
	case <-time.After(limit):
		_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
		<-s.done
		s.t.Error("the program did not stop")
	}
	text := s.Log()
	// make forwards the signal, waits, and then ends by the signal itself.
	clean := s.cmd.ProcessState.ExitCode() == 0 || filepath.Base(s.cmd.Path) == "make" && strings.Contains(text, "stopped")
	if !clean {
		s.t.Errorf("the program ended with %v, want a clean stop", s.cmd.ProcessState)
	}
	for _, never := range []string{Secret, "access_token=", "DATA RACE", "panic:"} {
		if strings.Contains(text, never) {
			s.t.Errorf("the log contains %q", never)
		}
	}
	if hasToken(text) {
		s.t.Error("the log contains a token")
	}
}

// hasToken reports whether a text contains something like a JWT. A random id may begin like one, but has no dot.
func hasToken(text string) bool { return regexp.MustCompile(`eyJ[\w-]+\.`).MatchString(text) }

// WaitFor polls until condition holds, and fails the test when it takes too long or the program ends.
func (s *Server) WaitFor(what string, condition func() bool) {
	s.t.Helper()
	s.WaitLong(Patience, what, condition)
}

// WaitLong is WaitFor with a longer limit.
func (s *Server) WaitLong(limit time.Duration, what string, condition func() bool) {
	s.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(limit)
	for !condition() {
		select {
		case <-tick.C:
		case <-s.done:
			s.t.Fatalf("the program ended while the test waited for %s: %v", what, s.cmd.ProcessState)
		case <-timeout:
			s.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// Readiness is the answer of /readyz.
type Readiness struct {
	State    string
	Degraded []struct{ Check, Detail string }
}

// Readiness requests /readyz. It returns the zero value if the server does not answer.
func (s *Server) Readiness() (report Readiness) {
	response, err := s.http.Get(s.ConsoleURL + "/readyz")
	if err != nil {
		return report
	}
	defer response.Body.Close()
	_ = json.NewDecoder(response.Body).Decode(&report) // an unreadable answer counts as not ready
	return report
}

// PID returns the id of the process that was started last.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Log returns the output of the program so far.
func (s *Server) Log() string { return s.log.text() }

// Logs reports whether a line of the log contains text, in any case.
func (s *Server) Logs(text string) bool {
	return strings.Contains(strings.ToLower(s.Log()), strings.ToLower(text))
}

// Metric returns the sum of the samples of a metric whose labels contain all given labels, each as `name="value"`.
func (s *Server) Metric(name string, labels ...string) float64 {
	s.t.Helper()
	return MustSumMetric(s.t, s.Metrics(), name, labels...)
}

// MustSumMetric does the same with the text of an answer of /metrics.
func MustSumMetric(t testing.TB, metrics, name string, labels ...string) float64 {
	t.Helper()
	sum := 0.0
	for sample := range strings.Lines(metrics) {
		series, value, _ := strings.Cut(strings.TrimSpace(sample), " ")
		metric, text, _ := strings.Cut(series, "{")
		matches := metric == name
		for _, label := range labels {
			matches = matches && strings.Contains(text, label)
		}
		if !matches {
			continue
		}
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("metric %q: %v", sample, err)
		}
		sum += number
	}
	return sum
}

// Metrics returns the answer of /metrics.
func (s *Server) Metrics() string {
	s.t.Helper()
	response, err := s.http.Get(s.ConsoleURL + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		s.t.Fatalf("GET /metrics: %s, %v", response.Status, err)
	}
	return string(text)
}

// recorder keeps the output of a program.
type recorder struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(p)
}

// text returns the output so far.
func (r *recorder) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.String()
}
