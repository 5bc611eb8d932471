package transport_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/transport"
)

// The end of a connection was counted by its reason, and nothing recorded whose connection it was and why it ended.
func TestEnded_hasReasonAndDetail(t *testing.T) {
	for name, test := range map[string]struct {
		reason  hub.CloseReason
		detail  string
		message string // the error of the Close message with detailed errors; empty: not looked at
		end     func(s *server, w *wire)
	}{
		"Close message": {hub.CloseByClient, "", "", func(_ *server, w *wire) { w.text(`{"type":7}` + separator) }},
		"Close frame":   {hub.CloseByPeer, "", "", func(_ *server, w *wire) { w.write(frame(fin|opClose, nil)) }},
		"end of stream": {hub.CloseGone, "stream_ended", "", func(_ *server, w *wire) { w.Close() }},
		"malformed": {
			hub.CloseProtocolError, "malformed_message", "InvalidDataException: The message is malformed.",
			func(_ *server, w *wire) { w.text(`{"type":` + separator) },
		},
		"too large": {
			hub.CloseProtocolError, "message_too_large", "InvalidDataException: The maximum message size was exceeded.",
			func(_ *server, w *wire) { w.text(strings.Repeat("x", 300_000)) },
		},
		"unmasked": {
			hub.CloseProtocolError, "unmasked", "", func(_ *server, w *wire) { w.write([]byte{fin | opText, 1, 'x'}) },
		},
		"operator": {hub.CloseByOperator, "", "", func(s *server, w *wire) {
			s.hub.CloseIf(hub.CloseByOperator, func(*hub.Session) bool { return true })
			for message := ""; !strings.HasPrefix(message, `{"type":7`); { // pings come before it
				_, payload, err := w.next()
				if err != nil {
					s.t.Fatal(err)
				}
				message = string(payload)
			}
		}},
		"silent": {
			hub.CloseSilent, "nothing_received",
			"OperationCanceledException: Client hasn't sent a message/ping within the configured ClientTimeoutInterval.",
			func(_ *server, w *wire) { w.text(`{"type":6}` + separator) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			ends := make(chan transport.End, 1)
			s := startServer(t, func(s *setup) {
				s.Ended = func(end transport.End) { ends <- end }
				s.Protocol.DetailedErrors = true
				s.Timeouts.Client, s.Timeouts.KeepAlive = 200*time.Millisecond, 100*time.Millisecond
			})
			w := s.open("json")
			if n := s.count("signalr_server_active_connections", "signalr_transport", "web_sockets"); n != 1 {
				t.Errorf("%v active connections, want 1", n)
			}
			test.end(s, w)
			for test.message != "" {
				_, payload, err := w.next()
				if err != nil {
					t.Fatal(err)
				}
				if text := string(payload); strings.HasPrefix(text, `{"type":7`) {
					want := `{"type":7,"error":"Connection closed with an error. ` + test.message + `","allowReconnect":true}`
					if diff := cmp.Diff(want+separator, text); diff != "" {
						t.Errorf("Close message: -want +got\n%s", diff)
					}
					break
				}
			}
			w.Close()
			expectEnd(t, ends, test.reason, test.detail)
			if n := s.count("rte_transport_connection_seconds", "reason", test.reason.String()); n != 1 {
				t.Errorf("%v durations, want 1", n)
			}
			status := "normal_closure"
			if test.reason == hub.CloseSilent {
				status = "timeout"
			}
			if n := s.count("signalr_server_connection_duration_seconds",
				"signalr_connection_status", status, "signalr_transport", "web_sockets"); n != 1 {
				t.Errorf("%v durations of %s, want 1", n, status)
			}
			if n := s.count("signalr_server_active_connections"); n != 0 {
				t.Errorf("%v active connections, want none", n)
			}
		})
	}
}

func TestEnded_afterAFailedHandshake(t *testing.T) {
	for name, test := range map[string]struct {
		detail string
		send   func(w *wire)
	}{
		"malformed":        {"malformed", func(w *wire) { w.text(`{"version":1}` + separator) }},
		"unknown protocol": {"unknown_protocol", func(w *wire) { w.text(`{"protocol":"xml","version":1}` + separator) }},
		"unsupported version": {
			"unsupported_version", func(w *wire) { w.text(`{"protocol":"json","version":9}` + separator) },
		},
		"too large": {"too_large", func(w *wire) { w.text(strings.Repeat("x", 40_000)) }},
		"violation": {"reserved_opcode", func(w *wire) { w.write(frame(fin|0x3, nil)) }},
		"timeout":   {"timeout", func(*wire) {}},
	} {
		t.Run(name, func(t *testing.T) {
			ends := make(chan transport.End, 1)
			s := startServer(t, func(s *setup) {
				s.Ended = func(end transport.End) { ends <- end }
				s.Timeouts.Handshake = 100 * time.Millisecond
			})
			w := s.dial()
			test.send(w)
			_, _, _ = w.next()
			w.Close()
			expectEnd(t, ends, hub.CloseHandshake, test.detail)
		})
	}
}

func TestEnded_ofASlowClient(t *testing.T) {
	ends := make(chan transport.End, 1)
	entity := mustID("aa9730c4-ce86-e611-80c9-00505689257e")
	s := startServer(t, func(s *setup) {
		s.Ended = func(end transport.End) { ends <- end }
		s.fanout.Outbox.Bytes = 64 << 10
	})
	w := s.open("json")
	w.call("1", "Subscribe", []map[string]string{{"EntityId": entity.String(), "EventName": "UserCallInArrived"}})
	s.eventually("too much waits for the client", func() bool {
		for range 20 {
			s.publish("UserCallInArrived", "User", entity, `,"Username":"`+strings.Repeat("x", 32<<10)+`"`)
		}
		return s.count("rte_fanout_dropped_total", "reason", "slow") > 0
	})
	for {
		if _, _, err := w.next(); err != nil {
			t.Fatal(err)
		}
		if s.count("rte_hub_sessions_closed_total", "reason", "slow") > 0 {
			break
		}
	}
	w.Close()
	expectEnd(t, ends, hub.CloseSlow, "outbox_full")
}

func expectEnd(t *testing.T, ends <-chan transport.End, reason hub.CloseReason, detail string) {
	t.Helper()
	select {
	case end := <-ends:
		if end.Reason != reason || end.Detail != detail {
			t.Errorf("ended as %v, %q; want %v, %q", end.Reason, end.Detail, reason, detail)
		}
		if end.ID == "" || end.Claims == nil || end.Claims.Organization != organization || end.Duration <= 0 {
			t.Errorf("end is %+v", end)
		}
	case <-time.After(patience):
		t.Error("no end is reported")
	}
}
