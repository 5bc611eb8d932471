package rfc6455

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// First bytes of a frame (RFC 6455 section 5.2).
const (
	continuation = 0x0
	text         = 0x1
	binaryData   = 0x2
	closing      = 0x8
	ping         = 0x9
	pong         = 0xa

	rsv1 = 0x40
	rsv2 = 0x20
	rsv3 = 0x10
	fin  = 0x80
)

// Status codes of a Close frame (section 7.4.1).
const (
	normal        = 1000
	protocolError = 1002
	invalidText   = 1007
	tooBig        = 1009
)

// wire is a raw TCP connection of a test to a node.
type wire struct {
	net.Conn
	t     *testing.T
	in    *bufio.Reader
	token string
}

// dial upgrades without negotiation.
func dial(t *testing.T, host, token string) *wire {
	t.Helper()
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	w := &wire{conn, t, bufio.NewReader(conn), token}
	// if it fails, the next call fails too; messages of 16 MiB take a while
	_ = conn.SetDeadline(time.Now().Add(2 * rtetest.Patience))
	w.send([]byte("GET /rte HTTP/1.1\r\nHost: " + host + "\r\nAuthorization: Bearer " + token +
		"\r\nConnection: Upgrade\r\n" +
		"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"))
	response, err := http.ReadResponse(w.in, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade: %v, %v", response, err)
	}
	return w
}

// open dials and does the handshake of the hub.
func open(t *testing.T, host, token string) *wire {
	t.Helper()
	w := dial(t, host, token)
	w.send(frame(fin|text, handshake))
	w.expect(text, "{}\x1e")
	return w
}

// again opens another connection for the same test.
func (w *wire) again() *wire {
	w.t.Helper()
	return open(w.t, w.RemoteAddr().String(), w.token)
}

// handshake is the first message of a client to the hub.
const handshake = `{"protocol":"json","version":1}` + "\x1e"

// frame returns a frame of a client.
func frame(first byte, payload string) []byte {
	out := header(first, uint64(len(payload)))
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	out = append(out, key[:]...)
	for i := range len(payload) {
		out = append(out, payload[i]^key[i%len(key)])
	}
	return out
}

// header returns the beginning of a client's frame, up to its key.
func header(first byte, length uint64) []byte {
	const masked = 0x80
	switch {
	case length <= 125:
		return []byte{first, masked | byte(length)}
	case length <= 0xffff:
		return binary.BigEndian.AppendUint16([]byte{first, masked | 126}, uint16(length))
	default:
		return binary.BigEndian.AppendUint64([]byte{first, masked | 127}, length)
	}
}

// closeFrame returns a Close frame of a client.
func closeFrame(status uint16, reason string) []byte {
	return frame(fin|closing, closePayload(status)+reason)
}

func closePayload(status uint16) string { return string(binary.BigEndian.AppendUint16(nil, status)) }

// send writes all frames at once.
func (w *wire) send(frames ...[]byte) {
	w.t.Helper()
	var all []byte
	for _, f := range frames {
		all = append(all, f...)
	}
	if _, err := w.Write(all); err != nil {
		w.t.Fatal(err)
	}
}

// chop writes frames in pieces of size bytes.
func (w *wire) chop(size int, frames ...[]byte) {
	w.t.Helper()
	for _, f := range frames {
		for len(f) > 0 {
			n := min(size, len(f))
			w.send(f[:n])
			f = f[n:]
		}
	}
}

// next reads a frame and checks the rules for all frames of a server.
func (w *wire) next() (opcode byte, payload string, err error) {
	var first [2]byte
	if _, err := io.ReadFull(w.in, first[:]); err != nil {
		return 0, "", err
	}
	if first[0]&0xf0 != fin || first[1]&0x80 != 0 {
		return 0, "", fmt.Errorf("frame header %x: fragmented, reserved bits or masked", first)
	}
	extended := make([]byte, map[byte]int{126: 2, 127: 8}[first[1]])
	if _, err := io.ReadFull(w.in, extended); err != nil {
		return 0, "", err
	}
	length := uint64(first[1])
	switch len(extended) {
	case 2:
		length = uint64(binary.BigEndian.Uint16(extended))
	case 8:
		length = binary.BigEndian.Uint64(extended)
	}
	data := make([]byte, length)
	_, err = io.ReadFull(w.in, data)
	return first[0] & 0x0f, string(data), err
}

// expect reads a frame and compares it.
func (w *wire) expect(opcode byte, payload string) {
	w.t.Helper()
	got, data, err := w.next()
	if err != nil || got != opcode || data != payload {
		w.t.Fatalf("frame %#x %.200q, %v; want %#x %.200q", got, data, err, opcode, payload)
	}
}

// expectClosed expects a Close frame with a status, then the end of the connection.
func (w *wire) expectClosed(status uint16) {
	w.t.Helper()
	w.expect(closing, closePayload(status))
	w.expectEnd()
}

// expectEnd expects the end of the connection.
func (w *wire) expectEnd() {
	w.t.Helper()
	opcode, payload, err := w.next()
	var timeout net.Error
	if err == nil {
		w.t.Fatalf("frame %#x %.200q after the end", opcode, payload)
	} else if errors.As(err, &timeout) && timeout.Timeout() {
		w.t.Fatal("the connection does not end")
	}
}

// echoRequest returns a hub message whose answer repeats a text. The text must need no escapes in JSON.
func echoRequest(word string) string {
	return `{"type":1,"invocationId":"1","arguments":[],"target":"` + word + `"}` + "\x1e"
}

// echoRequestOf returns a hub message of a size. The answer repeats "x".
func echoRequestOf(size int) string {
	const begin, end = `{"pad":"`, `","type":1,"invocationId":"1","arguments":[],"target":"x"}` + "\x1e"
	return begin + strings.Repeat("*", size-len(begin)-len(end)) + end
}

// expectEcho expects the answer to echoRequest.
func (w *wire) expectEcho(word string) {
	w.t.Helper()
	w.expect(text, `{"type":3,"invocationId":"1","error":"`+echoBegin+word+echoEnd+`"}`+"\x1e")
}

// The text around the echo in the answer to echoRequest.
const (
	echoBegin = "Failed to invoke '"
	echoEnd   = "' due to an error on the server. HubException: Method does not exist."
)
