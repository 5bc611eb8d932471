package attacks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// mustLimitFiles returns a program that starts the one at path with a limit of open files.
func mustLimitFiles(t *testing.T, path string, limit int) string {
	t.Helper()
	script := filepath.Join(t.TempDir(), "limited")
	text := fmt.Sprintf("#!/bin/sh\nulimit -n %d\nexec %q \"$@\"\n", limit, path)
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return script
}

// mustCheckConfig returns what "config check" of a program prints.
func mustCheckConfig(t *testing.T, path string) string {
	t.Helper()
	cmd := exec.Command(path, "config", "check", "--auth.hmac_secret="+rtetest.Secret)
	cmd.Env = rtetest.Unconfigured(os.Environ())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("config check: %v\n%s", err, out)
	}
	return string(out)
}

// outcomes are the results of many clients that connect.
type outcomes struct {
	mu   sync.Mutex
	open []net.Conn
	full int // answers 503 with Retry-After
	cut  int // connections that ended without an answer; their clients try again
	odd  []string
}

// connect opens a connection and sends a request for a WebSocket, until there is an answer.
func (o *outcomes) connect(ctx context.Context, host, token string) {
	for ctx.Err() == nil && !o.try(ctx, host, token) {
		pause(ctx, 200*time.Millisecond)
	}
}

// try is one attempt of connect. It reports whether there was an answer.
func (o *outcomes) try(ctx context.Context, host, token string) bool {
	conn, status, retry, err := upgradeOnce(ctx, host, token)
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case status == http.StatusSwitchingProtocols:
		o.open = append(o.open, conn)
		return true
	case status == http.StatusServiceUnavailable && retry:
		o.full++
	case status == 0:
		o.cut++
		return false
	default:
		o.odd = append(o.odd, fmt.Sprintf("HTTP %d, Retry-After: %t, %v", status, retry, err))
	}
	return true
}

// upgradeOnce returns the answer to an upgrade; status 0: there was none.
func upgradeOnce(ctx context.Context, host, token string) (conn net.Conn, status int, retry bool, err error) {
	var s *socket
	s, err = dial(ctx, host, token, "")
	var refused statusError
	switch {
	case err == nil:
		return s.conn, http.StatusSwitchingProtocols, false, nil
	case errors.As(err, &refused):
		return nil, int(refused), s != nil && s.retryAfter != "", err
	default:
		return nil, 0, false, err
	}
}

// wait opens a connection and sends nothing until the server ends it or ctx ends.
func (o *outcomes) wait(ctx context.Context, host string) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", host)
	if err != nil {
		return
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	_, _ = io.Copy(io.Discard, conn) // the end counts
}

// At the limit of open files the operator port accepted nothing: no probe and no metric was answered, the node could
// not connect to Redis again, and clients waited without an answer.
func TestDescriptors_areKeptForOperatorsAndRedis(t *testing.T) {
	const descriptors, clients, silent = 256, 1520, 480
	redis := rtetest.MustStartRedis(t)
	srv := rtetest.MustStartServer(t, mustLimitFiles(t, programs.MustBuild(t), descriptors), rtetest.Settings{
		"redis.addresses": redis.Addr, "log.level": "warn", "quotas.user_connections": "0", "timeouts.close": "1s",
		"timeouts.handshake":  "10m", // longer than the test: no connection ends by it
		"admission.full_wait": "0s",  // clients would wait for room
	})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()

	var probing sync.WaitGroup
	done := make(chan struct{})
	probes := map[string]int{}
	slowest := time.Duration(0)
	probing.Go(func() {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: rtetest.Patience}
		for {
			for _, path := range []string{"/readyz", "/metrics"} {
				began := time.Now()
				response, err := client.Get(srv.ConsoleURL + path)
				if err != nil {
					t.Errorf("%s: %v", path, err)
					return
				}
				_, err = io.Copy(io.Discard, response.Body)
				response.Body.Close()
				if err != nil || response.StatusCode != http.StatusOK {
					t.Errorf("%s: %s, %v", path, response.Status, err)
					return
				}
				probes[path]++
				slowest = max(slowest, time.Since(began))
			}
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})

	token := rtetest.MustToken(t, authz.Claims{Organization: events.NewID(), Role: authz.RoleService})
	var o outcomes
	var arriving, waiting sync.WaitGroup
	hold, release := context.WithCancel(ctx)
	defer waiting.Wait()
	defer release()
	for range silent {
		waiting.Go(func() { o.wait(hold, srv.Host) })
	}
	for range 40 {
		arriving.Go(func() {
			for range clients / 40 {
				o.connect(ctx, srv.Host, token)
			}
		})
	}
	arriving.Wait()
	// On a fast machine all of them were refused in less than the second for which silent connections are safe.
	limit, tried := int(srv.Metric("rte_transport_connections_limit")), clients
	for ; len(o.open) < limit/2 && ctx.Err() == nil; tried++ {
		o.connect(ctx, srv.Host, token)
		pause(ctx, 5*time.Millisecond)
	}
	// The node is full. It must find Redis again after an outage.
	redis.Kill()
	srv.WaitFor("the node to miss Redis", func() bool { return len(srv.Readiness().Degraded) > 0 })
	redis.Start()
	srv.WaitFor("the node to have Redis again", func() bool { return len(srv.Readiness().Degraded) == 0 })
	close(done)
	probing.Wait()

	if n := len(o.open); n > limit || n < limit/2 || len(o.odd) > 0 || n+o.full != tried {
		t.Errorf("of %d clients %d are connected, with a limit of %d, and %d got 503, others %q",
			tried, n, limit, o.full, o.odd)
	}
	named := srv.Metric("rte_transport_requests_refused_total", `reason="descriptors"`) +
		srv.Metric("rte_transport_requests_refused_total", `reason="full"`)
	if int(named) < o.full+o.cut { // some of the silent ones, too
		t.Errorf("%v refusals are counted, want %d or more", named, o.full+o.cut)
	}
	if strings.Contains(srv.Log(), "too many open files") {
		t.Error("the node ran out of file descriptors")
	}
	if slowest > time.Second {
		t.Errorf("a probe took %s", slowest)
	}
	for name, warns := range map[string]bool{
		"the log of the start": strings.Contains(srv.Log(), "limits.connections is lowered to the limit of open files"),
		"config check": strings.Contains(mustCheckConfig(t, mustLimitFiles(t, programs.MustBuild(t), descriptors)),
			"limits.connections: a process with at most 256 open files"),
	} {
		if !warns {
			t.Errorf("%s does not warn of the limit of open files", name)
		}
	}
	t.Logf("%d connected, %d got 503, %d were cut; %v probes, the slowest took %s",
		len(o.open), o.full, o.cut, probes, slowest)
	release()
	waiting.Wait()
	for _, conn := range o.open {
		conn.Close()
	}
	srv.WaitFor("the node to accept connections again", func() bool {
		var again outcomes
		again.connect(ctx, srv.Host, token)
		return len(again.open) == 1
	})
}
