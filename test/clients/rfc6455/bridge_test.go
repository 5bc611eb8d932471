package rfc6455

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// bridge connects a suite that expects an echo with a node, which is a hub. It forwards every byte of the suite to the
// node and every control frame of the node to the suite unchanged. Around each data message of the suite it sends the
// rest of a hub message, in separate messages, so that the suite's message becomes the name of a method in JSON. The
// node's answer repeats that name, and the bridge makes the echo from it.
type bridge struct {
	net.Listener
	node  string
	token string
	ends  sync.WaitGroup
}

// The text around a message of the suite. The name begins with other text, because a name must not be empty.
const (
	requestBegin = `{"type":1,"invocationId":"1","arguments":[],"target":"` + nameBegin
	requestEnd   = `"}` + "\x1e"

	nameBegin = "_"
)

// startBridge starts a bridge to a node. The end of the test stops it.
func startBridge(t *testing.T, node *rtetest.Server, token string) *bridge {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &bridge{Listener: listener, node: node.Host, token: token}
	b.ends.Go(func() {
		for {
			suite, err := listener.Accept()
			if err != nil {
				return // the test has ended
			}
			b.ends.Go(func() { b.serve(suite) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		b.ends.Wait()
	})
	return b
}

// serve serves a connection of the suite.
func (b *bridge) serve(suite net.Conn) {
	defer suite.Close()
	node, err := net.Dial("tcp", b.node)
	if err != nil {
		return
	}
	defer node.Close()
	fromSuite, fromNode := bufio.NewReader(suite), bufio.NewReader(node)
	if err := b.upgrade(suite, node, fromSuite, fromNode); err != nil {
		return
	}
	var toNode sync.WaitGroup
	toNode.Go(func() {
		_, _ = io.Copy(&embedder{node: node}, fromSuite)
		_ = node.(*net.TCPConn).CloseWrite() // the suite has disconnected, so errors are of no use
	})
	echo(suite, fromNode)
	suite.Close()
	toNode.Wait()
}

// upgrade forwards the suite's request with a token, and the node's answer, and does the handshake of the hub.
func (b *bridge) upgrade(suite, node net.Conn, fromSuite, fromNode *bufio.Reader) error {
	request, err := http.ReadRequest(fromSuite)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+b.token)
	if err := request.Write(node); err != nil {
		return err
	}
	response, err := http.ReadResponse(fromNode, request)
	if err != nil {
		return err
	}
	if err := response.Write(suite); err != nil {
		return err
	}
	if _, err := node.Write(frame(fin|text, handshake)); err != nil {
		return err
	}
	_, err = fromNode.Discard(len("\x81\x03{}\x1e"))
	return err
}

// embedder writes the frames of the suite to the node, with the rest of a hub message around each message.
type embedder struct {
	node      io.Writer
	header    []byte // of the current frame, as far as received
	remaining uint64 // remaining bytes of its payload
	inMessage bool   // a data message has begun
	broken    bool   // the suite ended the connection: forward everything unchanged
}

// Write receives bytes of the suite in pieces of any size.
func (e *embedder) Write(p []byte) (int, error) {
	var out []byte
	for _, b := range p {
		if len(e.header) == 0 && !e.broken {
			out = append(out, e.begin(b)...)
		}
		out = append(out, b)
		if !e.broken && e.take(b) {
			out = append(out, e.end()...)
		}
	}
	_, err := e.node.Write(out)
	return len(p), err
}

// begin reads the first byte of a frame and returns the bytes to send before it.
func (e *embedder) begin(first byte) []byte {
	switch opcode := first & 0x0f; {
	case first&(rsv1|rsv2|rsv3) != 0, opcode > binaryData && opcode < closing, opcode > pong,
		opcode <= binaryData && (opcode == continuation) != e.inMessage:
		e.broken = true
	case opcode <= binaryData && !e.inMessage:
		e.inMessage = true
		return frame(fin|text, requestBegin)
	}
	return nil
}

// take receives a byte and reports whether it is the last byte of a frame.
func (e *embedder) take(b byte) bool {
	const mask = 4
	if e.remaining > 0 {
		e.remaining--
		return e.remaining == 0
	}
	e.header = append(e.header, b)
	if len(e.header) < 2 {
		return false
	}
	extended := map[byte]int{126: 2, 127: 8}[e.header[1]&0x7f]
	if len(e.header) < 2+extended+mask {
		return false
	}
	switch extended {
	case 0:
		e.remaining = uint64(e.header[1] & 0x7f)
	case 2:
		e.remaining = uint64(binary.BigEndian.Uint16(e.header[2:]))
	default:
		e.remaining = binary.BigEndian.Uint64(e.header[2:])
	}
	return e.remaining == 0
}

// end returns the bytes to send after a frame.
func (e *embedder) end() []byte {
	first := e.header[0]
	e.header = e.header[:0]
	if first&0x0f > binaryData || first&fin == 0 {
		return nil
	}
	e.inMessage = false
	return frame(fin|text, requestEnd)
}

// echo forwards the node's control frames and makes an echo from each answer to a hub message, until the node ends the
// connection.
func echo(suite io.Writer, fromNode *bufio.Reader) {
	w := &wire{in: fromNode}
	for {
		opcode, payload, err := w.next()
		if err != nil {
			return
		}
		if opcode == text {
			word, ok := echoed(payload)
			if !ok {
				continue // the hub's Close message
			}
			opcode, payload = text, word
		}
		if _, err := suite.Write(serverFrame(fin|opcode, payload)); err != nil {
			return
		}
	}
}

// echoed returns the text that the answer to a hub message repeats.
func echoed(answer string) (string, bool) {
	var completion struct{ Error string }
	if err := json.Unmarshal([]byte(strings.TrimSuffix(answer, "\x1e")), &completion); err != nil {
		return "", false
	}
	word, isCompletion := strings.CutPrefix(completion.Error, requestBegin+nameBegin)
	return strings.TrimSuffix(word, requestEnd), isCompletion
}

// serverFrame is a frame of a server.
func serverFrame(first byte, payload string) []byte {
	begin := header(first, uint64(len(payload)))
	begin[1] &= 0x7f
	return append(bytes.Clone(begin), payload...)
}
