package rfc6455

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// programs is the binary that the tests start; TestMain removes it.
var programs rtetest.Programs

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		programs.Remove()
		os.Exit(code)
	}))
}

// startNode starts a node that sends nothing on its own, accepts large messages, and slows no client down: most cases
// break the protocol on purpose, all of one user.
func startNode(t *testing.T) *rtetest.Server {
	t.Helper()
	return rtetest.MustStartServer(t, programs.MustBuild(t), rtetest.Settings{
		"timeouts.keep_alive": "1h", "timeouts.client": "2h", "limits.message_bytes": "32MiB", "limits.frame_bytes": "16MiB",
		"limits.outbox_bytes": "64MiB", "log.level": "warn",
		"timeouts.hold": "1ms", "limits.frame_rate": "0", "limits.ping_rate": "0",
	})
}

// testCase is one case of the Autobahn test suite, or several cases that differ only in a number.
type testCase struct {
	id, name string
	play     func(w *wire)
}

// hello is a text with characters of one to four bytes.
const hello = "Hello-µ@ßöäüàá-漢-😀"

// data are the cases with data frames: sections 5.2, 5.4 and 5.6 of the RFC.
var data = []testCase{
	{"1.1.1", "an empty message changes nothing", func(w *wire) {
		w.send(frame(fin|text, ""), frame(fin|text, echoRequest("x")))
		w.expectEcho("x")
	}},
	{"1.1.2-7", "each form of the length is understood, in text", func(w *wire) { sizes(w, text) }},
	{"1.1.8", "a message may come in pieces of any size", func(w *wire) {
		w.chop(997, frame(fin|text, echoRequestOf(65536)))
		w.expectEcho("x")
	}},
	{"1.2.1", "an empty binary message changes nothing", func(w *wire) {
		w.send(frame(fin|binaryData, ""), frame(fin|binaryData, echoRequest("x")))
		w.expectEcho("x")
	}},
	{"1.2.2-7", "each form of the length is understood, in binary", func(w *wire) { sizes(w, binaryData) }},
	{"1.2.8", "a binary message may come in pieces of any size", func(w *wire) {
		w.chop(997, frame(fin|binaryData, echoRequestOf(65536)))
		w.expectEcho("x")
	}},
	{"3.1", "RSV3 ends the connection", func(w *wire) { fails(w, frame(fin|rsv3|text, echoRequest("x"))) }},
	{"3.2", "RSV2 ends the connection, after what came before", func(w *wire) {
		w.send(frame(fin|text, echoRequest("x")), frame(fin|rsv2|text, echoRequest("y")), frame(fin|ping, ""))
		w.expectEcho("x")
		w.expectClosed(protocolError)
	}},
	{"3.3", "RSV2 and RSV3 end the connection", func(w *wire) {
		w.chop(1, frame(fin|text, echoRequest("x")))
		w.expectEcho("x")
		fails(w, frame(fin|rsv2|rsv3|text, echoRequest("y")))
	}},
	{
		"3.4", "RSV1 ends the connection: no extension was negotiated",
		func(w *wire) { fails(w, frame(fin|rsv1|text, echoRequest("x"))) },
	},
	{
		"3.5", "RSV1 and RSV3 end the connection, in binary",
		func(w *wire) { fails(w, frame(fin|rsv1|rsv3|binaryData, echoRequest("x"))) },
	},
	{"3.6", "RSV1 and RSV2 end the connection, in a ping", func(w *wire) { fails(w, frame(fin|rsv1|rsv2|ping, "")) }},
	{
		"3.7", "all reserved bits end the connection, in a Close",
		func(w *wire) { fails(w, frame(fin|rsv1|rsv2|rsv3|closing, "")) },
	},
	{"4.1.1-5", "each reserved data opcode ends the connection", func(w *wire) { reserved(w, 0x3, 0x7) }},
	{"4.2.1-5", "each reserved control opcode ends the connection", func(w *wire) { reserved(w, 0xb, 0xf) }},
	{"5.3", "two fragments are a message", func(w *wire) {
		head, tail := halves(echoRequest("x"))
		w.send(frame(text, head), frame(fin|continuation, tail))
		w.expectEcho("x")
	}},
	{"5.4", "two fragments are a message, each in a segment of its own", func(w *wire) {
		head, tail := halves(echoRequest("x"))
		w.send(frame(text, head))
		w.send(frame(fin|continuation, tail))
		w.expectEcho("x")
	}},
	{"5.5", "two fragments are a message, byte by byte", func(w *wire) {
		head, tail := halves(echoRequest("x"))
		w.chop(1, frame(text, head), frame(fin|continuation, tail))
		w.expectEcho("x")
	}},
	{"5.6", "a ping between fragments is answered before the message", func(w *wire) {
		head, tail := halves(echoRequest("x"))
		w.send(frame(text, head), frame(fin|ping, "between"))
		w.expect(pong, "between")
		w.send(frame(fin|continuation, tail))
		w.expectEcho("x")
	}},
	{"5.8", "a ping between fragments, byte by byte", func(w *wire) {
		head, tail := halves(echoRequest("x"))
		w.chop(1, frame(text, head), frame(fin|ping, "between"))
		w.expect(pong, "between")
		w.chop(1, frame(fin|continuation, tail))
		w.expectEcho("x")
	}},
	{"5.9-11", "a final continuation of nothing ends the connection", func(w *wire) {
		fails(w, frame(fin|continuation, echoRequest("x")), frame(fin|text, echoRequest("y")))
	}},
	{"5.12-14", "a continuation of nothing ends the connection", func(w *wire) {
		fails(w, frame(continuation, echoRequest("x")), frame(fin|text, echoRequest("y")))
	}},
	{"5.15", "a continuation after the last fragment ends the connection", func(w *wire) {
		head, tail := halves(echoRequest("x"))
		w.send(frame(text, head), frame(fin|continuation, tail))
		w.expectEcho("x")
		fails(w, frame(continuation, "more"), frame(fin|text, echoRequest("y")))
	}},
	{"5.16-17", "a continuation of nothing before a message ends the connection", func(w *wire) {
		fails(w, frame(continuation, "x"), frame(text, "y"), frame(fin|continuation, "z"))
	}},
	{"5.18", "a message inside another ends the connection", func(w *wire) {
		fails(w, frame(text, "x"), frame(fin|text, echoRequest("y")))
	}},
	{"5.19-20", "five fragments with pings between them are a message", func(w *wire) {
		message := echoRequest("abcdefghijklmno")
		fifth := len(message) / 5
		w.send(frame(text, message[:fifth]), frame(continuation, message[fifth:2*fifth]), frame(fin|ping, "one"))
		w.expect(pong, "one")
		w.send(
			frame(continuation, message[2*fifth:3*fifth]), frame(continuation, message[3*fifth:4*fifth]),
			frame(fin|ping, "two"),
		)
		w.expect(pong, "two")
		w.send(frame(fin|continuation, message[4*fifth:]))
		w.expectEcho("abcdefghijklmno")
	}},
	{"6.1.1-3", "empty fragments change nothing", func(w *wire) {
		w.send(frame(text, ""), frame(continuation, echoRequest("x")), frame(fin|continuation, ""))
		w.expectEcho("x")
	}},
	{"6.2.1", "text comes back as it was", func(w *wire) {
		w.send(frame(fin|text, echoRequest(hello)))
		w.expectEcho(hello)
	}},
	{"6.2.2-4", "text may be cut inside a character", func(w *wire) {
		message := echoRequest(hello)
		w.send(frame(text, message[:1]))
		for i := range len(message) - 2 {
			w.send(frame(continuation, message[i+1:i+2]))
		}
		w.send(frame(fin|continuation, message[len(message)-1:]))
		w.expectEcho(hello)
	}},
	{"6.3-6.21", "text that is not UTF-8 ends the connection", func(w *wire) {
		// The server ignores the opcode of data messages (W4). So the hub protocol finds the error when the message is
		// complete and reports it in its own way (D7).
		w.send(frame(fin|text, echoRequest("\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80")))
		w.expect(text, `{"type":7,"error":"Connection closed with an error.","allowReconnect":true}`+"\x1e")
		w.expect(closing, closePayload(normal))
		w.send(closeFrame(normal, ""))
		w.expectEnd()
	}},
	{"9.1.1-6", "messages of 64 KiB to 16 MiB are read", func(w *wire) {
		for size := 64 << 10; size <= 16<<20; size *= 4 {
			w.send(frame(fin|text, echoRequestOf(size)))
			w.expectEcho("x")
		}
	}},
	{"9.1.6 and more", "a frame over the limit ends the connection before it has come", func(w *wire) {
		w.send(header(fin|text, 16<<20+1), []byte{0, 0, 0, 0})
		w.expectClosed(tooBig)
	}},
	{"9.3", "a message of 1 MiB comes in fragments of 64 bytes", func(w *wire) {
		message := echoRequestOf(1 << 20)
		out := frame(text, "")
		for piece := range slices.Chunk([]byte(message), 64) {
			out = append(out, frame(continuation, string(piece))...)
		}
		w.send(out, frame(fin|continuation, ""))
		w.expectEcho("x")
	}},
	{"9.7", "1000 messages are answered", func(w *wire) {
		for range 1000 {
			w.send(frame(fin|text, echoRequest("x")))
			w.expectEcho("x")
		}
	}},
	{"10.1.1", "a message of 64 KiB comes in fragments of 1300 bytes", func(w *wire) {
		message := echoRequestOf(65536)
		first := byte(text)
		for len(message) > 1300 {
			w.send(frame(first, message[:1300]))
			first, message = continuation, message[1300:]
		}
		w.send(frame(fin|continuation, message))
		w.expectEcho("x")
	}},
}

// sizes sends messages with each form of length, and with lengths around the limits of the forms.
func sizes(w *wire, opcode byte) {
	for _, size := range []int{125, 126, 127, 128, 65535, 65536} {
		w.send(frame(fin|opcode, echoRequestOf(size)))
		w.expectEcho("x")
	}
}

// fails sends frames. The first one must end the connection.
func fails(w *wire, frames ...[]byte) {
	w.t.Helper()
	w.send(frames...)
	w.expectClosed(protocolError)
}

// reserved sends a frame with each opcode from first to last, each on its own connection.
func reserved(w *wire, first, last byte) {
	for opcode := first; opcode <= last; opcode++ {
		fails(w.again(), frame(fin|opcode, ""))
		other := w.again()
		other.send(frame(fin|text, echoRequest("x")), frame(fin|opcode, "payload"), frame(fin|ping, ""))
		other.expectEcho("x")
		other.expectClosed(protocolError)
	}
}

// halves divides a message in the middle.
func halves(message string) (head, tail string) {
	return message[:len(message)/2], message[len(message)/2:]
}

// TestRFC6455 plays all cases.
func TestRFC6455(t *testing.T) {
	node := startNode(t)
	token := rtetest.MustToken(t, authz.Claims{Role: authz.RoleAgent})
	for _, test := range slices.Concat(data, control) {
		t.Run(fmt.Sprintf("%s: %s", test.id, test.name), func(t *testing.T) {
			test.play(open(t, node.Host, token))
		})
	}
}
