package transport_test

import (
	"bytes"
	"compress/flate"
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/rte-server/rte-server/internal/transport/hubprotocol"
)

// withDeflate lets clients compress.
func withDeflate(s *setup) {
	s.Protocol.Deflate, s.fanout.Deflate = true, hubprotocol.NewDeflater(1).Deflate
}

const deflateOffer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"

// deflated compresses a message as RFC 7692 asks for.
func deflated(message string) []byte {
	var buf bytes.Buffer
	w, _ := flate.NewWriter(&buf, 9)
	_, _ = w.Write([]byte(message))
	_ = w.Flush()
	return bytes.TrimSuffix(buf.Bytes(), []byte("\x00\x00\xff\xff"))
}

// deflating opens a connection that negotiated permessage-deflate.
func (s *server) deflating(headers ...string) *wire {
	s.t.Helper()
	w := s.connect()
	response, body := w.upgrade("/rte", "alice", append(headers, deflateOffer)...)
	if response.StatusCode != http.StatusSwitchingProtocols {
		s.t.Fatalf("upgrade: %s %q", response.Status, body)
	}
	const answer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	if got := response.Header.Get("Sec-WebSocket-Extensions"); got != answer {
		s.t.Fatalf("Sec-WebSocket-Extensions %q", got)
	}
	w.write(frame(fin|rsv1|opText, deflated(`{"protocol":"json","version":1}`+separator)))
	w.expectText("{}")
	return w
}

const rsv1 = 0x40

// An independent client decodes what each subscriber gets, in both protocols.
func TestDeflate_independentClient(t *testing.T) {
	s := startServer(t, withDeflate)
	for _, protocol := range []string{"json", "messagepack"} {
		for name, mode := range map[string]websocket.CompressionMode{
			"deflate": websocket.CompressionNoContextTakeover, "takeover": websocket.CompressionContextTakeover,
			"plain": websocket.CompressionDisabled,
		} {
			t.Run(protocol+"/"+name, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				conn, _, err := websocket.Dial(ctx, "ws://"+s.addr+"/rte", &websocket.DialOptions{
					HTTPHeader: http.Header{"Authorization": {"Bearer alice"}}, CompressionMode: mode, CompressionThreshold: 1,
				})
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = conn.CloseNow() }()
				send := func(kind websocket.MessageType, text string) {
					t.Helper()
					if err := conn.Write(ctx, kind, []byte(text)); err != nil {
						t.Fatal(err)
					}
				}
				read := func() string {
					t.Helper()
					_, got, err := conn.Read(ctx)
					if err != nil {
						t.Fatal(err)
					}
					return string(got)
				}
				send(websocket.MessageText, `{"protocol":"`+protocol+`","version":1}`+separator)
				read()
				if protocol == "json" {
					send(websocket.MessageText, `{"type":1,"invocationId":"1","target":"Subscribe","arguments":[[{"EntityId":"`+
						noticeEntity+`","EventName":"UserStatus"}]]}`+separator)
				} else {
					body := "\x95\x01\x80\xa11\xa9Subscribe\x91\x91\x82\xa8EntityId\xd9\x24" + noticeEntity +
						"\xa9EventName\xaaUserStatus"
					send(websocket.MessageBinary, string([]byte{byte(len(body))})+body)
				}
				answer := read()
				const member = `"id":"`
				id := ""
				if _, rest, ok := strings.Cut(answer, member); ok {
					id = rest[:36]
				}
				for range 3 {
					s.publish("UserStatus", "User", mustID(noticeEntity), `,"Status":"`+strings.Repeat("In a call. ", 30)+`"`)
					got := read()
					if !strings.Contains(got, noticeEntity) || !strings.Contains(got, "MessageReceived") ||
						id != "" && !strings.Contains(got, id) {
						t.Fatalf("got %q", got)
					}
				}
			})
		}
	}
}

func TestDeflate_isGrantedOnRequestOnly(t *testing.T) {
	on, off := startServer(t, withDeflate), startServer(t)
	for name, test := range map[string]struct {
		s     *server
		offer string
		want  bool
	}{
		"on":                  {on, "permessage-deflate", true},
		"second offer":        {on, "permessage-deflate; server_max_window_bits=10, permessage-deflate", true},
		"smaller window":      {on, "permessage-deflate; server_max_window_bits=10", false},
		"unknown parameter":   {on, "permessage-deflate; x", false},
		"repeated":            {on, "permessage-deflate; client_no_context_takeover; client_no_context_takeover", false},
		"another":             {on, "x-webkit-deflate-frame", false},
		"off":                 {off, "permessage-deflate", false},
		"no window of client": {on, "permessage-deflate; client_max_window_bits=16", false},
	} {
		for _, headers := range [][]string{nil, {slowly}} {
			response, _ := test.s.connect().upgrade("/rte", "alice", append(headers, "Sec-WebSocket-Extensions: "+test.offer)...)
			if got := response.Header.Get("Sec-WebSocket-Extensions") != ""; got != test.want || response.StatusCode != 101 {
				t.Errorf("%s: %v %s", name, got, response.Status)
			}
		}
	}
	// The next socket of such a connection may not offer it.
	on = startServer(t, withDeflate, func(s *setup) { s.Resume.Window = patience })
	_, body := on.do(http.MethodPost, "/rte/negotiate?negotiateVersion=1&useStatefulReconnect=true", "alice")
	_, rest, _ := strings.Cut(body, `"connectionToken":"`)
	connection, _, _ := strings.Cut(rest, `"`)
	response, _ := on.connect().upgrade("/rte?id="+connection, "alice", deflateOffer)
	if got := response.Header.Get("Sec-WebSocket-Extensions"); got != "" {
		t.Errorf("with stateful reconnect: %q", got)
	}
}

// The cases follow sections 12 and 13 of the Autobahn test suite, and RFC 7692 section 6.
func TestDeflate_readsMessages(t *testing.T) {
	s := startServer(t, withDeflate)
	call := `{"type":1,"invocationId":"1","target":"UnsubscribeAll","arguments":[],"x":"` +
		strings.Repeat("abcdefgh", 500) + `"}` + separator
	packed := deflated(call)
	middle := len(packed) / 2
	for name, frames := range map[string][][]byte{
		"one frame":       {frame(fin|rsv1|opText, packed)},
		"binary":          {frame(fin|rsv1|opBinary, packed)},
		"not compressed":  {frame(fin|opText, []byte(call))},
		"two frames":      {frame(rsv1|opText, packed[:middle]), frame(fin, packed[middle:])},
		"empty last":      {frame(rsv1|opText, packed), frame(fin, nil)},
		"ping in between": {frame(rsv1|opText, packed[:3]), frame(fin|opPong, nil), frame(fin, packed[3:])},
		"two messages": {
			frame(fin|rsv1|opText, deflated(call[:100])), frame(fin|opText, []byte(call[100:200])),
			frame(fin|rsv1|opText, deflated(call[200:])),
		},
		"several blocks": {
			frame(fin|rsv1|opText, append(append(deflated(call[:9]), "\x00\x00\xff\xff"...), deflated(call[9:])...)),
		},
	} {
		w := s.deflating()
		for _, each := range frames {
			w.write(each)
		}
		if result, failure := w.completion("1"); result != "true" {
			t.Errorf("%s: %s %s", name, result, failure)
		}
		w.Close()
	}
}

func TestDeflate_refusesViolations(t *testing.T) {
	s := startServer(t, withDeflate)
	packed := deflated(`{"type":6}` + separator)
	for name, test := range map[string]struct {
		frames []byte
		status uint16
	}{
		"garbage":         {frame(fin|rsv1|opText, []byte("\xff\xff\xff\xff")), 1007},
		"cut":             {frame(fin|rsv1|opText, packed[:len(packed)-4]), 1007},
		"on continuation": {append(frame(opText, []byte("x")), frame(fin|rsv1, packed)...), 1002},
		"on ping":         {frame(fin|rsv1|opPing, packed[:5]), 1002},
		"on close":        {frame(fin|rsv1|opClose, nil), 1002},
		"another bit":     {frame(fin|0x20|opText, packed), 1002},
		"two bits":        {frame(fin|rsv1|0x20|opText, packed), 1002},
	} {
		t.Run(name, func(t *testing.T) {
			w := s.deflating()
			w.write(test.frames)
			w.expectClose(test.status)
		})
	}
	w := s.open("json")
	w.write(frame(fin|rsv1|opText, packed))
	w.expectClose(1002)
}

// A few hundred bytes inflate to 256 KiB, and to no more.
func TestDeflate_boundsBombs(t *testing.T) {
	s := startServer(t, withDeflate)
	for name, message := range map[string][]byte{
		"ratio": frame(fin|rsv1|opText, deflated(strings.Repeat(" ", 16<<20))),
		"many messages in one": frame(fin|rsv1|opText,
			deflated(strings.Repeat(`{"type":6}`+separator, 40_000))),
		"long": bytes.Join([][]byte{
			frame(rsv1|opText, bytes.Repeat([]byte("x"), 200<<10)), frame(fin, bytes.Repeat([]byte("x"), 100<<10)),
		}, nil),
	} {
		t.Run(name, func(t *testing.T) {
			w := s.deflating()
			w.write(message)
			w.expectText(closedWithError)
			w.expectClose(1000)
		})
	}
	if n := s.count("rte_transport_protocol_errors_total", "reason", "message_too_large"); n != 3 {
		t.Errorf("%v messages were too large", n)
	}
}
