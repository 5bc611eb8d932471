package rfc6455

import (
	"fmt"
	"strings"
)

// control are the cases with control frames: sections 5.5 and 7 of the RFC.
var control = []testCase{
	{"2.1", "an empty ping is answered", func(w *wire) { pings(w, "") }},
	{"2.2", "a ping is answered with its payload", func(w *wire) { pings(w, "Hello, world!") }},
	{"2.3", "the payload may be binary", func(w *wire) { pings(w, "\x00\xff\xfe\xfd\xfc\xfb\x00\xff") }},
	{"2.4", "the payload may be of 125 bytes", func(w *wire) { pings(w, strings.Repeat("\xfe", 125)) }},
	{
		"2.5", "a ping of 126 bytes ends the connection",
		func(w *wire) { fails(w, frame(fin|ping, strings.Repeat("\xfe", 126))) },
	},
	{"2.6", "a ping may come byte by byte", func(w *wire) {
		w.chop(1, frame(fin|ping, strings.Repeat("\xfe", 125)))
		w.expect(pong, strings.Repeat("\xfe", 125))
	}},
	{"2.7-9", "unsolicited pongs change nothing", func(w *wire) {
		w.send(frame(fin|pong, ""), frame(fin|pong, "unsolicited"), frame(fin|ping, "solicited"))
		w.expect(pong, "solicited")
	}},
	{"2.10-11", "of many pings at once at least the last is answered", func(w *wire) {
		const last = 9
		for i := range last + 1 {
			w.send(frame(fin|ping, fmt.Sprint(i)))
		}
		for before := -1; before < last; {
			opcode, payload, err := w.next()
			var got int
			if _, scanErr := fmt.Sscan(payload, &got); err != nil || scanErr != nil || opcode != pong || got <= before {
				w.t.Fatalf("frame %#x %q, %v; want a pong after %d", opcode, payload, err, before)
			}
			before = got
		}
	}},
	{"5.1", "a fragmented ping ends the connection", func(w *wire) {
		fails(w, frame(ping, "frag"), frame(fin|continuation, "ment"))
	}},
	{"5.2", "a fragmented pong ends the connection", func(w *wire) {
		fails(w, frame(pong, "frag"), frame(fin|continuation, "ment"))
	}},
	{"7.1.1", "a Close is answered", func(w *wire) {
		w.send(frame(fin|text, echoRequest("x")))
		w.expectEcho("x")
		w.send(closeFrame(normal, ""))
		w.expectClosed(normal)
	}},
	{"7.1.2", "a second Close changes nothing", func(w *wire) { ends(w, closeFrame(normal, ""), closeFrame(normal, "")) }},
	{
		"7.1.3", "a ping after Close is not answered",
		func(w *wire) { ends(w, closeFrame(normal, ""), frame(fin|ping, "late")) },
	},
	{
		"7.1.4", "a message after Close is not answered",
		func(w *wire) { ends(w, closeFrame(normal, ""), frame(fin|text, echoRequest("x"))) },
	},
	{"7.1.5", "a Close inside a message ends the connection", func(w *wire) {
		head, tail := halves(echoRequest("x"))
		ends(w, frame(text, head), closeFrame(normal, ""), frame(fin|continuation, tail))
	}},
	{"7.1.6", "a Close behind a large message is answered", func(w *wire) {
		w.send(frame(fin|text, echoRequestOf(256<<10)), frame(fin|text, echoRequest("x")))
		w.expectEcho("x")
		w.expectEcho("x")
		ends(w, closeFrame(normal, ""), frame(fin|ping, ""))
	}},
	{"7.3.1", "a Close may be empty", func(w *wire) { ends(w, frame(fin|closing, "")) }},
	{"7.3.2", "a Close with half a status ends the connection", func(w *wire) { fails(w, frame(fin|closing, "\x03")) }},
	{"7.3.3", "a Close may have a status alone", func(w *wire) { ends(w, closeFrame(normal, "")) }},
	{"7.3.4", "a Close may have a reason", func(w *wire) { ends(w, closeFrame(normal, hello)) }},
	{"7.3.5", "the reason may be of 123 bytes", func(w *wire) { ends(w, closeFrame(normal, strings.Repeat("*", 123))) }},
	{
		"7.3.6", "a longer reason ends the connection",
		func(w *wire) { fails(w, closeFrame(normal, strings.Repeat("*", 124))) },
	},
	{"7.5.1", "a reason that is not UTF-8 ends the connection", func(w *wire) {
		w.send(closeFrame(normal, "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited"))
		w.expectClosed(invalidText)
	}},
	{"7.7.1-13", "each status that may be sent is accepted", func(w *wire) {
		for _, status := range []uint16{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999} {
			ends(w.again(), closeFrame(status, ""))
		}
	}},
	{"7.9.1-9", "a status that may not be sent ends the connection", func(w *wire) {
		for _, status := range []uint16{0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999} {
			fails(w.again(), closeFrame(status, ""))
		}
	}},
	{"7.13.1-2", "a status beyond all ranges ends the connection", func(w *wire) {
		for _, status := range []uint16{5000, 65535} {
			fails(w.again(), closeFrame(status, ""))
		}
	}},
	{"5.1 of the RFC", "a frame that is not masked ends the connection", func(w *wire) {
		w.send([]byte{fin | ping, 0})
		w.expectClosed(protocolError)
	}},
	{"5.2 of the RFC", "a length with the highest bit ends the connection", func(w *wire) {
		w.send(header(fin|text, 1<<63), []byte{0, 0, 0, 0})
		w.expectClosed(tooBig)
	}},
}

// pings sends a ping and expects its pong.
func pings(w *wire, payload string) {
	w.send(frame(fin|ping, payload))
	w.expect(pong, payload)
}

// ends sends frames with a Close and expects only a Close as the answer.
func ends(w *wire, frames ...[]byte) {
	w.t.Helper()
	w.send(frames...)
	w.expectClosed(normal)
}
