package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// mustStartLimits starts HAProxy with the limits per address of deploy/haproxy.cfg and lower numbers, without a node.
func mustStartLimits(t *testing.T) (address string) {
	t.Helper()
	program := rtetest.MustLookPath(t, "haproxy", "apt-get install haproxy")
	var limits []string
	for line := range strings.Lines(readDeploy(t, "haproxy.cfg")) {
		for _, directive := range []string{"stick-table ", "tcp-request connection ", "http-request deny "} {
			if strings.HasPrefix(strings.TrimSpace(line), directive) {
				limits = append(limits, strings.TrimSpace(line))
			}
		}
	}
	text := strings.Join(limits, "\n    ")
	for _, change := range [][2]string{
		{"sc0_conn_cur gt 5000", "sc0_conn_cur gt 5"}, {"sc0_http_req_rate gt 10000", "sc0_http_req_rate gt 10"},
	} {
		if !strings.Contains(text, change[0]) {
			t.Fatalf("deploy/haproxy.cfg has no %q:\n%s", change[0], text)
		}
		text = strings.Replace(text, change[0], change[1], 1)
	}
	address = rtetest.MustFreeAddr(t)
	path := filepath.Join(t.TempDir(), "haproxy.cfg")
	config := fmt.Sprintf("defaults\n    mode http\n    timeout client 60s\n    timeout http-request 60s\n"+
		"frontend clients\n    bind %s\n    %s\n    http-request return status 200\n", address, text)
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-db", "-f", path)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	})
	return address
}

// The shipped configuration had no limits per address: one address could use all connections of the proxy.
func TestHAProxy_limitsAnAddress(t *testing.T) {
	address := mustStartLimits(t)
	var open []net.Conn
	dial := func() net.Conn {
		t.Helper()
		deadline := time.Now().Add(rtetest.Patience)
		for {
			conn, err := net.Dial("tcp", address)
			if err == nil {
				t.Cleanup(func() { conn.Close() })
				_ = conn.SetDeadline(deadline) // the connection is open
				return conn
			}
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond) // HAProxy is starting
		}
	}
	request := func(conn net.Conn) (*http.Response, error) {
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			return nil, err
		}
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil {
			response.Body.Close()
		}
		return response, err
	}
	for range 5 {
		conn := dial()
		if response, err := request(conn); err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("a connection within the limits: %v, %v", response, err)
		}
		open = append(open, conn)
	}
	if response, err := request(dial()); err == nil {
		t.Errorf("a connection above the limit got %s", response.Status)
	}
	var last *http.Response
	for range 10 {
		response, err := request(open[0])
		if err != nil {
			t.Fatal(err)
		}
		if last = response; response.StatusCode != http.StatusOK {
			break
		}
	}
	if last.StatusCode != http.StatusTooManyRequests || last.Header.Get("Retry-After") != "5" {
		t.Errorf("requests above the rate got %s, Retry-After %q", last.Status, last.Header.Get("Retry-After"))
	}
}
