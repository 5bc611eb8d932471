package transport_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"
)

const handshake = `{"protocol":"json","version":1}` + separator

func TestW1_NoSubprotocol(t *testing.T) {
	s := startServer(t)
	response, _ := s.connect().upgrade("/rte", "alice", "Sec-WebSocket-Protocol: json, messagepack")
	if response.StatusCode != http.StatusSwitchingProtocols || response.Header.Get("Sec-WebSocket-Protocol") != "" {
		t.Errorf("%s %v", response.Status, response.Header)
	}
	// The example of RFC 6455 section 1.3.
	if got := response.Header.Get("Sec-WebSocket-Accept"); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("Sec-WebSocket-Accept: %s", got)
	}
}

func TestW2_NoCompression(t *testing.T) {
	s := startServer(t)
	w := s.connect()
	response, _ := w.upgrade("/rte", "alice", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
	if response.StatusCode != http.StatusSwitchingProtocols || response.Header.Get("Sec-WebSocket-Extensions") != "" {
		t.Errorf("%s %v", response.Status, response.Header)
	}
	w.text(handshake)
	w.expectText("{}")
}

func TestW3_ServerFrameType(t *testing.T) {
	s := startServer(t)
	text := s.open("json") // checks that {} comes as text
	text.text(`{"type":7}` + separator)
	text.expectText(`{"type":7}`)
	text.expectClose(1000)
	binary := s.open("messagepack") // checks that {} comes as binary
	binary.binary([]byte{3, 0x92, 7, 0xc0})
	binary.expect(opBinary, "\x04\x93\x07\xc0\xc2")
	binary.expectClose(1000)
	failed := s.dial()
	failed.binary([]byte(`{"protocol":"messagepack","version":3}` + separator))
	failed.expectText(`{"error":"The server does not support version 3 of the 'messagepack' protocol."}`)
	failed.expectClose(1000)
}

// Java sends binary frames only, for JSON and the handshake too.
func TestW4_IncomingFrameType(t *testing.T) {
	s := startServer(t)
	w := s.dial()
	w.binary([]byte(handshake))
	w.expectText("{}")
	w.binary([]byte(`{"type":1,"invocationId":"1","target":"UnsubscribeAll","arguments":[]}` + separator))
	w.expectText(`{"type":3,"invocationId":"1","result":true}`)
	packed := s.open("messagepack")
	packed.text("\x15\x95\x01\x80\xa1\x31\xaeUnsubscribeAll\x90")
	packed.expect(opBinary, "\x07\x95\x03\x80\xa1\x31\x03\xc3")
}

func TestW5_StreamOfBytes(t *testing.T) {
	s := startServer(t)
	one := `{"type":1,"invocationId":"1","target":"UnsubscribeAll","arguments":[]}` + separator
	two := strings.Replace(one, `"1"`, `"2"`, 1)
	answers := func(w *wire) {
		t.Helper()
		w.expectText(`{"type":3,"invocationId":"1","result":true}`)
		w.expectText(`{"type":3,"invocationId":"2","result":true}`)
	}
	t.Run("two hub messages in one WebSocket message", func(t *testing.T) {
		w := s.open("json")
		w.text(one + two)
		answers(w)
	})
	t.Run("everything in one WebSocket message", func(t *testing.T) {
		w := s.dial()
		w.text(handshake + one + two)
		w.expectText("{}")
		answers(w)
	})
	t.Run("one byte per WebSocket message", func(t *testing.T) {
		w := s.dial()
		for _, b := range []byte(handshake + one + two) {
			w.text(string(b))
		}
		w.expectText("{}")
		answers(w)
	})
	t.Run("one byte per fragment, with pings between", func(t *testing.T) {
		w := s.open("json")
		first := byte(opText)
		for _, b := range []byte(one + two) {
			w.write(frame(first, []byte{b}))
			w.write(frame(fin|opPong, nil))
			first = 0
		}
		w.write(frame(fin, nil))
		answers(w)
	})
	t.Run("one byte per segment", func(t *testing.T) {
		w := s.open("json")
		for _, b := range frame(fin|opText, []byte(one+two)) {
			w.write([]byte{b})
		}
		answers(w)
	})
	t.Run("sent before the upgrade was answered", func(t *testing.T) {
		w := s.connect()
		request := "GET /rte?access_token=alice HTTP/1.1\r\nHost: rte\r\n" + strings.Join(upgradeHeaders, "\r\n") + "\r\n\r\n"
		w.write(append([]byte(request), frame(fin|opText, []byte(handshake+one+two))...))
		response, err := http.ReadResponse(w.in, nil)
		if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
			t.Fatal(response, err)
		}
		defer response.Body.Close()
		w.expectText("{}")
		answers(w)
	})
	t.Run("MessagePack, cut inside a length prefix", func(t *testing.T) {
		w := s.open("messagepack")
		arguments := fmt.Appendf(nil, "\x95\x01\x80\xa1\x31\xa9Subscribe\x91\xda\x01\x00%s", strings.Repeat("x", 256))
		message := append([]byte{byte(len(arguments)&0x7f | 0x80), byte(len(arguments) >> 7)}, arguments...)
		w.binary(message[:1])
		w.binary(message[1:20])
		w.binary(message[20:])
		const text = "Failed to invoke 'Subscribe' due to an error on the server."
		w.expect(opBinary, string([]byte{byte(len(text) + 8), 0x95, 3, 0x80, 0xa1, '1', 1, 0xd9, byte(len(text))})+text)
	})
}

// Every frame of the server is a whole WebSocket message (next checks it) with complete hub messages, also when many
// come at once and the reader is slow.
func TestW6_WholeHubMessages(t *testing.T) {
	s := startServer(t)
	w := s.open("json")
	entity := mustID("c9eeb030-ff4b-ea11-ac9c-00155d4fdcf3")
	if result, failure := w.call("1", "Subscribe", []subscription{{entity.String(), "QueueStatus"}}); failure != "" {
		t.Fatal(result, failure)
	}
	const count = 500
	more := `,"Filler":"` + strings.Repeat("x", 1000) + `"`
	for i := range count {
		s.publish("QueueStatus", "Queue", entity, fmt.Sprintf(`,"N":%d%s`, i, more))
	}
	for i := range count {
		opcode, payload, err := w.next()
		if err != nil || opcode != opText {
			t.Fatalf("%#x, %v", opcode, err)
		}
		if !bytes.HasPrefix(payload, []byte(`{"type":1,"target":"MessageReceived","arguments":[{"subscription":`)) ||
			!bytes.Contains(payload, fmt.Appendf(nil, `"n":%d,`, i)) || bytes.Count(payload, []byte(separator)) != 1 ||
			!bytes.HasSuffix(payload, []byte(separator)) {
			t.Fatalf("frame %d: %s", i, payload)
		}
	}
}

func TestW7_Ping(t *testing.T) {
	s := startServer(t)
	early := s.dial()
	early.write(frame(fin|opPing, []byte("before the handshake")))
	early.expect(opPong, "before the handshake")
	w := s.open("json")
	for _, payload := range []string{"", "x", strings.Repeat("p", 125)} {
		w.write(frame(fin|opPing, []byte(payload)))
		w.expect(opPong, payload)
	}
	w.write(frame(fin|opPong, []byte("unasked")))
	w.expectNothing()
}

func TestW8_ServerCloses(t *testing.T) {
	short := func(s *setup) { s.Timeouts.Close = 50 * time.Millisecond }
	t.Run("the client answers", func(t *testing.T) {
		w := startServer(t).open("json")
		w.text(`{"type":7}` + separator)
		w.expectText(`{"type":7}`)
		w.expectClose(1000)
	})
	t.Run("the client does not answer", func(t *testing.T) {
		w := startServer(t, short).open("json")
		w.text(`{"type":7}` + separator)
		w.expectText(`{"type":7}`)
		w.expect(opClose, "\x03\xe8")
		w.expectEnd()
	})
	t.Run("the client goes on talking", func(t *testing.T) {
		s := startServer(t, func(s *setup) { s.Timeouts.Close = 500 * time.Millisecond })
		w := s.open("json")
		w.text(
			`{"type":7}` + separator + `{"type":1,"invocationId":"1","target":"UnsubscribeAll","arguments":[]}` + separator,
		)
		w.text(`{"type":1,"invocationId":"2","target":"UnsubscribeAll","arguments":[]}` + separator)
		w.write(frame(fin|opPing, nil))
		w.expectText(`{"type":7}`)
		w.expectClose(1000)
		if calls := s.count("rte_transport_received_messages_total", "type", "invocation"); calls != 0 {
			t.Errorf("%v invocations behind a Close", calls)
		}
	})
	t.Run("the client closes", func(t *testing.T) {
		for _, payload := range []string{"", "\x03\xe8", "\x03\xe9going away", "\x0f\xa0mine"} {
			w := startServer(t).open("json")
			w.write(frame(fin|opClose, []byte(payload)))
			w.expect(opClose, "\x03\xe8")
			w.expectEnd()
		}
	})
	t.Run("the client closes before the handshake", func(t *testing.T) {
		w := startServer(t).dial()
		w.write(frame(fin|opClose, nil))
		w.expect(opClose, "\x03\xe8")
		w.expectEnd()
	})
	t.Run("the client is gone", func(t *testing.T) {
		s := startServer(t)
		w, early := s.open("json"), s.dial()
		w.Close()
		early.Close()
		s.eventually("the connections are removed", func() bool { return s.Connections() == 0 })
		if failed := s.count("rte_transport_handshakes_failed_total", "reason", "gone"); failed != 1 {
			t.Errorf("%v connections were gone before the handshake", failed)
		}
	})
}

// A client that reads nothing is closed. The others go on.
func TestW9_SlowClient(t *testing.T) {
	s := startServer(t, func(s *setup) {
		s.Timeouts.Send, s.Timeouts.Close = 200*time.Millisecond, 50*time.Millisecond
		s.fanout.Outbox.Bytes = 1 << 20
	})
	entity := mustID("c9eeb030-ff4b-ea11-ac9c-00155d4fdcf3")
	frozen, reader := s.open("json"), s.open("json")
	for _, w := range []*wire{frozen, reader} {
		if result, failure := w.call(
			"1", "Subscribe", []subscription{{entity.String(), "QueueCallInArrived"}},
		); failure != "" {
			t.Fatal(result, failure)
		}
	}
	more := `,"Filler":"` + strings.Repeat("x", 30_000) + `"`
	for s.Connections() == 2 {
		s.publish("QueueCallInArrived", "Queue", entity, more)
		if opcode, _, err := reader.next(); err != nil || opcode != opText {
			t.Fatalf("the client that reads: %#x, %v", opcode, err)
		}
	}
	reader.expectNothing()
	if n, err := io.Copy(io.Discard, frozen.Conn); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client that does not read got %d bytes and %v", n, err)
	}
}

// A client gets no Close hub message after a breach of RFC 6455. The tests with real clients show that it reconnects.
func TestW10_EndWithoutCloseMessage(t *testing.T) {
	w := startServer(t).open("json")
	w.write([]byte{0x81, 0x01, 'x'}) // not masked
	w.expectClose(1002)
}

func TestW11_HTTP1(t *testing.T) {
	s := startServer(t, withTLS)
	w := s.open("json")
	if result, failure := w.call("1", "UnsubscribeAll"); result != "true" {
		t.Error(result, failure)
	}
	if protocol := w.Conn.(*tls.Conn).ConnectionState().NegotiatedProtocol; protocol != "" && protocol != "http/1.1" {
		t.Error(protocol)
	}
}

// TLS in this process uses the code paths without a file descriptor.
func withTLS(s *setup) {
	web := httptest.NewUnstartedServer(nil)
	web.StartTLS()
	defer web.Close()
	s.tls = &tls.Config{Certificates: web.TLS.Certificates, NextProtos: []string{"http/1.1"}}
}

func TestTLS(t *testing.T) {
	s := startServer(t, withTLS, func(s *setup) { s.Timeouts.Close = 100 * time.Millisecond })
	entity := mustID("c9eeb030-ff4b-ea11-ac9c-00155d4fdcf3")
	w := s.open("json")
	if result, failure := w.call("1", "Subscribe", []subscription{{entity.String(), "QueueStatus"}}); failure != "" {
		t.Fatal(result, failure)
	}
	for i := range 100 {
		s.publish("QueueStatus", "Queue", entity, fmt.Sprintf(`,"N":%d,"Filler":"%s"`, i, strings.Repeat("x", 1000)))
		if _, payload, err := w.next(); err != nil || !bytes.Contains(payload, fmt.Appendf(nil, `"n":%d,`, i)) {
			t.Fatalf("%s, %v", payload, err)
		}
	}
	w.expectNothing()
	w.text(`{"type":7}` + separator)
	w.expectText(`{"type":7}`)
	w.expect(opClose, "\x03\xe8")
	w.expectEnd()
	gone := s.open("json")
	gone.Conn.(*tls.Conn).NetConn().Close() // without the closing alert of TLS
	s.eventually("the connections are removed", func() bool { return s.Connections() == 0 })
}
