package e2e

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// rawClient is a client with a raw socket, so it can stop reading.
type rawClient struct {
	t      *testing.T
	conn   *net.TCPConn
	reader *bufio.Reader
}

// dialRaw connects without negotiation and does the SignalR handshake. buffer is the size of the read buffer of the
// socket; 0: that of ordinary clients.
func dialRaw(t *testing.T, srv *rtetest.Server, token string, buffer int) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", srv.Host)
	if err != nil {
		t.Fatal(err)
	}
	return openRaw(t, conn, token, buffer)
}

// openRaw is dialRaw over an open connection.
func openRaw(t *testing.T, conn net.Conn, token string, buffer int) *rawClient {
	t.Helper()
	t.Cleanup(func() { conn.Close() })
	c := &rawClient{t: t, conn: conn.(*net.TCPConn), reader: bufio.NewReader(conn)}
	if buffer > 0 {
		if err := c.conn.SetReadBuffer(buffer); err != nil {
			t.Fatal(err)
		}
	}
	request := fmt.Sprintf("GET /rte HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nConnection: Upgrade\r\n"+
		"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
		conn.RemoteAddr(), token)
	if _, err := conn.Write([]byte(request)); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade: %v, %v", response, err)
	}
	c.send(`{"protocol":"json","version":1}`)
	c.until("{}")
	return c
}

// send writes a hub message as a text frame with a zero mask (RFC 6455, section 5.2).
func (c *rawClient) send(message string) {
	c.t.Helper()
	message += "\x1e"
	frame := []byte{0x81, 0xfe}
	frame = binary.BigEndian.AppendUint16(frame, uint16(len(message)))
	frame = append(frame, 0, 0, 0, 0)
	if _, err := c.conn.Write(append(frame, message...)); err != nil {
		c.t.Fatal(err)
	}
}

// until reads hub messages until one contains text, and returns that one.
func (c *rawClient) until(text string) string {
	c.t.Helper()
	if err := c.conn.SetReadDeadline(time.Now().Add(rtetest.Patience)); err != nil {
		c.t.Fatal(err)
	}
	for {
		message, err := c.reader.ReadString(0x1e)
		if err != nil {
			c.t.Fatalf("no message with %s came: %v", text, err)
		}
		if strings.Contains(message, text) {
			return message
		}
	}
}

// TestFrozenClient runs one client that stops reading among others that read.
func TestFrozenClient(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	srv := startServer(t, rtetest.Settings{
		"redis.addresses": redis.Addr, "limits.outbox_bytes": "262144", "timeouts.send": "2s", "timeouts.close": "1s",
	})
	token := mustTokenOfAgent(t, authz.RoleAgent)

	const subscribe = `{"type":1,"invocationId":"0","target":"Subscribe",` +
		`"arguments":[[{"EntityId":%q,"EventName":"UserCallInArrived"}]]}`
	frozen := dialRaw(t, srv, token, 4096)
	frozen.send(fmt.Sprintf(subscribe, ourAgent))
	frozen.until(`"subscribed":true`)
	// From here on the client does not read.

	c := connect(t, clientOptions{URL: srv.HubURL, Token: token})
	var results []subscriptionResult
	c.mustInvoke(&results, "Subscribe", subscribeTo(ourAgent, "UserCallInArrived"))

	// Call events are never dropped: they fill the frozen client's socket, then its outbox, and then the session ends.
	publisher := redis.Client()
	defer publisher.Close()
	note := strings.Repeat("x", 16<<10)
	isSlow := func() bool {
		return srv.Metric("rte_fanout_outboxes_ended_total", `reason="slow"`) == 1
	}
	var slowest time.Duration
	n := 0
	for ; n < 5000; n++ {
		if n%20 == 0 && isSlow() {
			break
		}
		sent := time.Now()
		event := fmt.Appendf(nil, `{"OrganizationId":%q,"EventType":"UserCallInArrived","EntityType":"User","EntityId":%q,`+
			`"MessageTTLSeconds":-1,"Number":%d,"Note":%q}`, ourOrganization, ourAgent, n, note)
		if err := publisher.Publish(t.Context(), lane(ourOrganization), event).Err(); err != nil {
			t.Fatal(err)
		}
		if got := c.next().Data["number"]; got != float64(n) {
			t.Fatalf("received event %v, want %d", got, n)
		}
		slowest = max(slowest, time.Since(sent))
	}
	if !isSlow() {
		t.Fatalf("the frozen client is still connected after %d events", n)
	}
	t.Logf("ended as slow after %d events of %d bytes; the slowest to the other client took %v", n, len(note), slowest)

	// The data that the frozen client did not read ends with the end of the connection.
	if err := frozen.conn.SetReadDeadline(time.Now().Add(rtetest.Patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, frozen.reader); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the frozen client's connection did not end: %v", err)
	}
}

// The kernel kept 4 MB of old states in front of those that replaced them. A client that reads 50 KB/s was 80 s late.
func TestSlowClient_seesNewStates(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	srv := startServer(t, rtetest.Settings{"redis.addresses": redis.Addr})
	slow := dialRaw(t, srv, mustTokenOfAgent(t, authz.RoleAgent), 0)
	slow.send(fmt.Sprintf(`{"type":1,"invocationId":"0","target":"Subscribe",`+
		`"arguments":[[{"EntityId":%q,"EventName":"UserStatus"}]]}`, ourAgent))
	slow.until(`"subscribed":true`)

	publisher := redis.Client()
	defer publisher.Close()
	const states, size = 3000, 2 << 10
	note := strings.Repeat("x", size)
	pipe := publisher.Pipeline()
	for n := range states {
		pipe.Publish(t.Context(), lane(ourOrganization), fmt.Appendf(nil,
			`{"OrganizationId":%q,"EventType":"UserStatus","EntityType":"User","EntityId":%q,"Number":%d,"Note":%q}`,
			ourOrganization, ourAgent, n, note))
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	srv.WaitFor("all states to be dispatched", func() bool {
		return srv.Metric("rte_fanout_events_total", `outcome="heard"`) == states
	})
	before := 0
	for last := fmt.Sprintf(`"number":%d,`, states-1); ; {
		message := slow.until(`"number":`)
		if before += len(message); strings.Contains(message, last) {
			break
		}
	}
	t.Logf("%d KB before the newest state", before>>10)
	// Some 120 KB lie in the client's own buffers; a write of 64 KB and the kernel's share may be in front.
	if before > 300<<10 {
		t.Errorf("the client received %d KB before the newest of %d KB", before>>10, states*size>>10)
	}
}
