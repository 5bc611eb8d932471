package transport_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

const (
	opText, opBinary, opClose, opPing, opPong = 0x1, 0x2, 0x8, 0x9, 0xa
	fin                                       = 0x80
	separator                                 = "\x1e"
)

// do makes a request with a token, or without if the token is empty, and reads the answer.
func (s *server) do(method, target, token string, headers ...string) (*http.Response, string) {
	s.t.Helper()
	conn := s.connect()
	defer conn.Close()
	return conn.do(method, target, token, headers...)
}

// wire is a TCP connection to a node. A test writes arbitrary bytes to it.
type wire struct {
	net.Conn
	t  *testing.T
	in *bufio.Reader
}

func (s *server) connect() *wire {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	if s.tls {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	return &wire{conn, s.t, bufio.NewReader(conn)}
}

func (w *wire) write(data []byte) {
	w.t.Helper()
	if _, err := w.Write(data); err != nil {
		w.t.Fatal(err)
	}
}

// do makes a request and reads the answer. After an upgrade it leaves everything behind the head on the wire.
func (w *wire) do(method, target, token string, headers ...string) (*http.Response, string) {
	w.t.Helper()
	request := method + " " + target + " HTTP/1.1\r\nHost: rte\r\n"
	if token != "" {
		request += "Authorization: Bearer " + token + "\r\n"
	}
	for _, header := range headers {
		request += header + "\r\n"
	}
	if method == http.MethodPost {
		request += "Content-Length: 0\r\n"
	}
	w.write([]byte(request + "\r\n"))
	response, err := http.ReadResponse(w.in, &http.Request{Method: method})
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusSwitchingProtocols {
		return response, ""
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return response, string(body)
}

var upgradeHeaders = []string{
	"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
}

// upgrade asks for a WebSocket.
func (w *wire) upgrade(target, token string, headers ...string) (*http.Response, string) {
	w.t.Helper()
	return w.do(http.MethodGet, target, token, append(headers, upgradeHeaders...)...)
}

// dial upgrades without negotiate.
func (s *server) dial() *wire {
	s.t.Helper()
	w := s.connect()
	if response, body := w.upgrade("/rte", "alice"); response.StatusCode != http.StatusSwitchingProtocols {
		s.t.Fatalf("upgrade: %s %q", response.Status, body)
	}
	return w
}

// open dials and completes the hub handshake.
func (s *server) open(protocol string) *wire {
	s.t.Helper()
	w := s.dial()
	w.text(`{"protocol":"` + protocol + `","version":1}` + separator)
	want := byte(opText)
	if protocol == "messagepack" {
		want = opBinary
	}
	w.expect(want, "{}"+separator)
	return w
}

// frame returns a frame of a client.
func frame(first byte, payload []byte) []byte {
	out := []byte{first}
	switch n := len(payload); {
	case n <= 125:
		out = append(out, 0x80|byte(n))
	case n <= 0xffff:
		out = binary.BigEndian.AppendUint16(append(out, 0x80|126), uint16(n))
	default:
		out = binary.BigEndian.AppendUint64(append(out, 0x80|127), uint64(n))
	}
	key := [4]byte{1, 2, 3, 4}
	out = append(out, key[:]...)
	for i, b := range payload {
		out = append(out, b^key[i%4])
	}
	return out
}

func (w *wire) text(payload string) {
	w.t.Helper()
	w.write(frame(fin|opText, []byte(payload)))
}

func (w *wire) binary(payload []byte) {
	w.t.Helper()
	w.write(frame(fin|opBinary, payload))
}

// next reads a frame, and checks the rules for every frame of the server.
func (w *wire) next() (opcode byte, payload []byte, err error) {
	var header [2]byte
	if _, err := io.ReadFull(w.in, header[:]); err != nil {
		return 0, nil, err
	}
	if header[0]&0xf0 != fin || header[1]&0x80 != 0 {
		w.t.Errorf("frame header %x: fragmented, reserved bits or masked", header)
	}
	length := uint64(header[1])
	switch length {
	case 126:
		var extended [2]byte
		if _, err := io.ReadFull(w.in, extended[:]); err != nil {
			return 0, nil, err
		}
		length = uint64(binary.BigEndian.Uint16(extended[:]))
	case 127:
		var extended [8]byte
		if _, err := io.ReadFull(w.in, extended[:]); err != nil {
			return 0, nil, err
		}
		length = binary.BigEndian.Uint64(extended[:])
	}
	payload = make([]byte, length)
	_, err = io.ReadFull(w.in, payload)
	return header[0] & 0x0f, payload, err
}

// expect reads a frame and compares it.
func (w *wire) expect(opcode byte, payload string) {
	w.t.Helper()
	got, data, err := w.next()
	if err != nil || got != opcode || string(data) != payload {
		w.t.Fatalf("frame %#x %q, %v; want %#x %q", got, data, err, opcode, payload)
	}
}

// expectText reads a JSON hub message and compares it.
func (w *wire) expectText(message string) {
	w.t.Helper()
	w.expect(opText, message+separator)
}

// expectClose reads a Close frame, answers it, and waits for the end of the connection.
func (w *wire) expectClose(status uint16) {
	w.t.Helper()
	w.expect(opClose, string(binary.BigEndian.AppendUint16(nil, status)))
	w.write(frame(fin|opClose, binary.BigEndian.AppendUint16(nil, status)))
	w.expectEnd()
}

// expectEnd waits for the end of the connection.
func (w *wire) expectEnd() {
	w.t.Helper()
	if opcode, payload, err := w.next(); err == nil {
		w.t.Fatalf("frame %#x %q after the end", opcode, payload)
	} else if isTimeout(err) {
		w.t.Fatal("the connection does not end")
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// expectNothing checks that the connection is alive and no frame waits: the answer to its ping is the next frame.
func (w *wire) expectNothing() {
	w.t.Helper()
	w.write(frame(fin|opPing, []byte("anything?")))
	w.expect(opPong, "anything?")
}

// call invokes a method in JSON and returns its result or error.
func (w *wire) call(id, target string, arguments ...any) (result, failure string) {
	w.t.Helper()
	if arguments == nil {
		arguments = []any{}
	}
	encoded, err := json.Marshal(arguments)
	if err != nil {
		w.t.Fatal(err)
	}
	w.text(
		`{"arguments":` + string(encoded) + `,"invocationId":"` + id + `","target":"` + target + `","type":1}` + separator,
	)
	return w.completion(id)
}

// completion reads the completion of an invocation in JSON.
func (w *wire) completion(id string) (result, failure string) {
	w.t.Helper()
	_, data, err := w.next()
	if err != nil {
		w.t.Fatal(err)
	}
	var completion struct {
		Type         int
		InvocationID string
		Result       json.RawMessage
		Error        string
	}
	if err := json.Unmarshal(bytes.TrimSuffix(data, []byte(separator)), &completion); err != nil {
		w.t.Fatalf("%q: %v", data, err)
	}
	if completion.Type != 3 || completion.InvocationID != id {
		w.t.Fatalf("%q is not the completion of %s", data, id)
	}
	return string(completion.Result), completion.Error
}

// subscription is an item of Subscribe.
type subscription struct {
	EntityID  string `json:"EntityId"`
	EventName string
}

// negotiated is the answer of negotiate.
type negotiated struct {
	ConnectionID    string
	ConnectionToken string
}

func (s *server) negotiate(token string) negotiated {
	s.t.Helper()
	response, body := s.do(http.MethodPost, "/rte/negotiate?negotiateVersion=1", token)
	if response.StatusCode != http.StatusOK {
		s.t.Fatalf("negotiate: %s %q", response.Status, body)
	}
	var answer negotiated
	if err := json.NewDecoder(strings.NewReader(body)).Decode(&answer); err != nil {
		s.t.Fatal(err)
	}
	return answer
}
