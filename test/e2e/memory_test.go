package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// lightClient is a WebSocket client that takes little memory. Its session is open.
type lightClient struct {
	net.Conn
	in *bufio.Reader
}

// dialLight connects a client. It returns the answer if the node refuses it.
func dialLight(t *testing.T, srv *rtetest.Server, token string) (*lightClient, *http.Response) {
	t.Helper()
	conn, err := net.Dial("tcp", srv.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(5 * time.Minute))
	if _, err := fmt.Fprintf(conn, "GET /rte HTTP/1.1\r\nHost: rte\r\nAuthorization: Bearer %s\r\nConnection: Upgrade\r\n"+
		"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
		token); err != nil {
		t.Fatal(err)
	}
	c := &lightClient{conn, bufio.NewReaderSize(conn, 256)}
	response, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusSwitchingProtocols {
		return nil, response
	}
	c.send(t, `{"protocol":"json","version":1}`)
	c.read(t, "{}")
	return c, nil
}

// send sends a hub message of less than 126 bytes in a masked frame whose mask changes nothing.
func (c *lightClient) send(t *testing.T, message string) {
	t.Helper()
	message += "\x1e"
	frame := append([]byte{0x81, 0x80 | byte(len(message)), 0, 0, 0, 0}, message...)
	if _, err := c.Write(frame); err != nil {
		t.Fatal(err)
	}
}

// read reads frames until one has a text.
func (c *lightClient) read(t *testing.T, text string) {
	t.Helper()
	for {
		var header [2]byte
		if _, err := io.ReadFull(c.in, header[:]); err != nil {
			t.Fatal(err)
		}
		payload := make([]byte, header[1])
		if _, err := io.ReadFull(c.in, payload); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(payload), text) {
			return
		}
	}
}

// TestMemory_refusesClientsNearTheLimit fills a node with clients. 12,000 connections with a limit of 96 MiB took 204
// MB: in a container the kernel would have ended the node, and all of its clients.
func TestMemory_refusesClientsNearTheLimit(t *testing.T) {
	const limit, most = 32 << 20, 10_000
	node := startServer(t, rtetest.Settings{
		"memory.limit": "32MiB", "log.level": "info", "log.audit_rate": "0", "quotas.user_connections": "0",
		"limits.connections": "20000", "limits.outbox_bytes": "256KiB",
	})
	token := rtetest.MustToken(t, authz.Claims{
		User: rtetest.MustID(t, ourAgent), Organization: rtetest.MustID(t, ourOrganization), Role: authz.RoleAgent,
	})
	var clients []*lightClient
	for {
		c, refused := dialLight(t, node, token)
		if refused != nil {
			if refused.StatusCode != http.StatusServiceUnavailable || refused.Header.Get("Retry-After") == "" {
				t.Errorf("refused with %s, Retry-After %q", refused.Status, refused.Header.Get("Retry-After"))
			}
			break
		}
		if clients = append(clients, c); len(clients) == most {
			t.Fatalf("%d clients, and none is refused", most)
		}
	}
	if n := node.Metric("rte_transport_requests_refused_total", `reason="memory"`); n == 0 {
		t.Error("no refusal is counted")
	}
	resident := residentBytes(t, node.PID())
	t.Logf("%d clients, %d KiB resident", len(clients), resident>>10)
	if len(clients) < 500 {
		t.Errorf("only %d clients", len(clients))
	}
	if resident > 2*limit && !rtetest.RaceEnabled { // the race detector takes several times as much
		t.Errorf("%d MiB resident", resident>>20)
	}
	for _, c := range []*lightClient{clients[0], clients[len(clients)-1]} {
		c.send(t, `{"type":1,"invocationId":"7","target":"ActiveSubscriptions","arguments":[]}`)
		c.read(t, `"invocationId":"7"`)
	}
	for _, c := range clients[len(clients)/2:] {
		_ = c.Close()
	}
	node.WaitLong(time.Minute, "room for another client", func() bool {
		_, refused := dialLight(t, node, token)
		return refused == nil
	})
}

// residentBytes returns the memory of a process.
func residentBytes(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmRSS:" {
			kib, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("no VmRSS")
	return 0
}
