package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rte-server/rte-server/internal/rtetest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if programDir != "" {
			_ = os.RemoveAll(programDir)
		}
		os.Exit(code)
	}))
}

// programDir is where program has put the binary; TestMain removes it.
var programDir string

// program builds the binary once for all tests.
var program = sync.OnceValues(func() (string, error) {
	if err := touchSources("../../cmd", "../../internal", "../../go.mod", "node"); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "rte-server-e2e-")
	if err != nil {
		return "", err
	}
	programDir = dir
	path := filepath.Join(dir, "rte-server")
	args := append(append([]string{"build"}, buildFlags...), "-o", path, "../../cmd/rte-server")
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return path, nil
})

// touchSources opens every file of the program and of the scripts. The result of a test is cached by the files that the
// test itself opens: without this, yesterday's success would stand for today's program.
func touchSources(roots ...string) error {
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			file, err := os.Open(path)
			if err != nil {
				return err
			}
			return file.Close()
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// mustProgram is the path of the binary.
func mustProgram(t *testing.T) string {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// settings are configuration keys and their values.
type settings map[string]string

// server is the program, serving in a process of its own.
type server struct {
	t       *testing.T
	cmd     *exec.Cmd
	log     *logRecorder
	done    chan struct{} // closed when the process has ended
	stopped bool

	// Host is where clients connect, as host:port.
	Host string
	// HubURL is the URL of the hub.
	HubURL string
	// ConsoleURL is the URL of the operator's port.
	ConsoleURL string
}

// startServer starts "rte-server serve" with the issuer, audience and secret of rtetest and waits until it is ready.
// The end of the test stops it and checks that it stopped cleanly and that its log keeps no secret.
func startServer(t *testing.T, s settings) *server {
	t.Helper()
	listen, console := rtetest.MustFreeAddr(t), rtetest.MustFreeAddr(t)
	all := settings{
		"listen":           listen,
		"console.listen":   console,
		"auth.hmac_secret": rtetest.Secret,
		"auth.issuer":      rtetest.Issuer,
		"auth.audience":    rtetest.Audience,
		"directory.kind":   "claims",
		"log.format":       "json",
		"log.level":        "debug",
		"shutdown.delay":   "0s",
		"shutdown.drain":   "100ms",
	}
	maps.Copy(all, s)
	args := []string{"serve"}
	for key, value := range all {
		args = append(args, "--"+key+"="+value)
	}
	srv := startProgram(t, exec.Command(mustProgram(t), args...))
	srv.Host, srv.HubURL, srv.ConsoleURL = listen, "http://"+listen+"/rte", "http://"+console
	srv.waitFor("the node to be ready", func() bool { return srv.readiness().State == "ready" })
	return srv
}

// startProgram starts a command that serves until SIGTERM.
func startProgram(t *testing.T, cmd *exec.Cmd) *server {
	t.Helper()
	srv := &server{t: t, cmd: cmd, log: &logRecorder{}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = srv.log, srv.log
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	// The configuration is what the test says, not what the one who runs it has set.
	cmd.Env = slices.DeleteFunc(cmd.Env, func(variable string) bool { return strings.HasPrefix(variable, "RTE_") })
	cmd.Env = append(cmd.Env, "GORACE=atexit_sleep_ms=0") // else a program built with -race takes a second to end
	// In a group of its own: the signal that stops it reaches what it has started.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(srv.done)
		_ = cmd.Wait() // its result stands in cmd.ProcessState
	}()
	t.Cleanup(func() {
		srv.stop()
		if t.Failed() {
			t.Logf("log of %s:\n%s", filepath.Base(cmd.Path), srv.log.text())
		}
	})
	return srv
}

// stop ends the program with SIGTERM and checks that it ended well.
func (s *server) stop() {
	s.t.Helper()
	if s.stopped {
		return
	}
	s.stopped = true
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGTERM) // it may have ended already, which is found below
	select {
	case <-s.done:
	case <-time.After(patience):
		_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
		<-s.done
		s.t.Error("the program did not stop")
	}
	text := s.log.text()
	// make passes the signal on, waits and ends by the signal itself.
	clean := s.cmd.ProcessState.ExitCode() == 0 || filepath.Base(s.cmd.Path) == "make" && strings.Contains(text, "stopped")
	if !clean {
		s.t.Errorf("the program ended with %v, want a clean stop", s.cmd.ProcessState)
	}
	for _, never := range []string{rtetest.Secret, "eyJ", "access_token=", "DATA RACE", "panic:"} {
		if strings.Contains(text, never) {
			s.t.Errorf("the log contains %q", never)
		}
	}
}

// waitFor polls until condition holds, and fails the test when it takes too long or the program ends.
func (s *server) waitFor(what string, condition func() bool) {
	s.t.Helper()
	s.waitLong(patience, what, condition)
}

// waitLong is waitFor for what may take its time.
func (s *server) waitLong(limit time.Duration, what string, condition func() bool) {
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

// readiness is what /readyz answers; the zero value while nobody answers.
func (s *server) readiness() (report struct {
	State    string
	Degraded []struct{ Check, Detail string }
},
) {
	response, err := httpClient.Get(s.ConsoleURL + "/readyz")
	if err != nil {
		return report
	}
	defer response.Body.Close()
	_ = json.NewDecoder(response.Body).Decode(&report) // what cannot be read is not ready
	return report
}

// logs says whether a line of the log contains text, in any case.
func (s *server) logs(text string) bool {
	return strings.Contains(strings.ToLower(s.log.text()), strings.ToLower(text))
}

// metric is the sum of the samples of a metric whose labels contain all of those given, each as `name="value"`.
func (s *server) metric(name string, labels ...string) float64 {
	s.t.Helper()
	sum := 0.0
	for sample := range strings.Lines(s.metrics()) {
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
			s.t.Fatalf("metric %q: %v", sample, err)
		}
		sum += number
	}
	return sum
}

// metrics is what /metrics answers.
func (s *server) metrics() string {
	s.t.Helper()
	response, err := httpClient.Get(s.ConsoleURL + "/metrics")
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

// httpClient keeps no connection, and so no goroutine.
var httpClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}

// logRecorder keeps what a program writes.
type logRecorder struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (r *logRecorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(p)
}

// text is everything written so far.
func (r *logRecorder) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.String()
}
