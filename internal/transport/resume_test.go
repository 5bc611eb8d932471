package transport_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/transport"
)

// withResume grants stateful reconnect.
func withResume(s *setup) { s.Resume.Window = patience }

// resumable negotiates with stateful reconnect and opens a connection with version 2 of the protocol.
func (s *server) resumable(protocol string) (w *wire, target string) {
	s.t.Helper()
	return s.resumableOf("alice", protocol)
}

func (s *server) resumableOf(user, protocol string) (w *wire, target string) {
	s.t.Helper()
	pings := s.count("rte_transport_received_messages_total", "type", "ping")
	response, body := s.do(http.MethodPost, "/rte/negotiate?negotiateVersion=1&useStatefulReconnect=true", user)
	if response.StatusCode != http.StatusOK || !strings.HasPrefix(body, `{"useStatefulReconnect":true,`) {
		s.t.Fatalf("negotiate: %s %s", response.Status, body)
	}
	_, rest, _ := strings.Cut(body, `"connectionToken":"`)
	token, _, _ := strings.Cut(rest, `"`)
	target = "/rte?id=" + token
	w = s.againOf(user, target)
	w.text(`{"protocol":"` + protocol + `","version":2}` + separator)
	if protocol == "json" {
		w.expectText("{}")
		w.text(ping)
	} else {
		w.expect(opBinary, "{}"+separator)
		w.binary([]byte("\x02\x91\x06"))
	}
	pings++
	s.eventually("the ping is processed", func() bool {
		return s.count("rte_transport_received_messages_total", "type", "ping") == pings
	})
	return w, target
}

// ping is a Ping of JSON. Clients with stateful reconnect send one as soon as they have the answer to their handshake.
const ping = `{"type":6}` + separator

// again upgrades another socket.
func (s *server) again(target string) *wire {
	s.t.Helper()
	return s.againOf("alice", target)
}

func (s *server) againOf(user, target string) *wire {
	s.t.Helper()
	w := s.connect()
	if response, body := w.upgrade(target, user); response.StatusCode != http.StatusSwitchingProtocols {
		s.t.Fatalf("upgrade: %s %q", response.Status, body)
	}
	return w
}

// continued upgrades another socket, and sends the number of the first message that follows.
func (s *server) continued(target string, number int) *wire {
	s.t.Helper()
	w := s.again(target)
	w.text(sequence(number))
	return w
}

// sequence returns a Sequence message of JSON.
func sequence(number int) string {
	return fmt.Sprintf(`{"type":9,"sequenceId":%d}`, number) + separator
}

// subscribeAck subscribes to the status of alice and reads the answer and its Ack. It returns the subscription id.
func (w *wire) subscribeAck(*server) (id string) {
	w.t.Helper()
	items := []map[string]string{{"EntityId": bearers["alice"].User.String(), "EventName": "UserStatus"}}
	result, failure := w.call("1", "Subscribe", items)
	if failure != "" {
		w.t.Fatal(failure)
	}
	w.expectText(`{"type":8,"sequenceId":1}`)
	_, rest, _ := strings.Cut(result, `"subscriptionId":"`)
	id, _, _ = strings.Cut(rest, `"`)
	return id
}

// status publishes a status of alice.
func (s *server) status() {
	s.t.Helper()
	s.publish("UserStatus", "User", bearers["alice"].User, "")
}

// expectEvent reads a MessageReceived.
func (w *wire) expectEvent() string {
	w.t.Helper()
	_, data, err := w.next()
	if err != nil || !strings.HasPrefix(string(data), `{"type":1,"target":"MessageReceived"`) {
		w.t.Fatalf("%q %v: no event", data, err)
	}
	return string(data)
}

func TestResume_JSON(t *testing.T) {
	s := startServer(t, withResume)
	first, target := s.resumable("json")
	first.subscribeAck(s)
	s.status()
	seen := first.expectEvent()
	first.Close()
	s.eventually("the socket is lost", func() bool { return s.count("rte_fanout_outboxes_detached") == 1 })
	s.status()

	second := s.again(target)
	// Nothing counts before the client's Sequence. Then the Subscribe is not processed a second time.
	second.text(`{"type":1,"invocationId":"1","target":"UnsubscribeAll","arguments":[]}` + separator)
	second.text(sequence(1) + `{"type":1,"invocationId":"1","target":"UnsubscribeAll","arguments":[]}` + separator)
	second.expectText(`{"type":9,"sequenceId":1}`) // nothing was acknowledged
	if _, failure := second.completion("1"); failure != "" {
		t.Error(failure)
	}
	if again := second.expectEvent(); again != seen {
		t.Errorf("sent again: %s, before %s", again, seen)
	}
	second.expectEvent()
	second.expectText(`{"type":8,"sequenceId":1}`)
	second.text(`{"type":8,"sequenceId":3}` + separator)
	if result, failure := second.call("2", "ActiveSubscriptions"); !strings.Contains(result, "UserStatus") {
		t.Errorf("the subscription is gone: %s %s", result, failure)
	}
	second.expectText(`{"type":8,"sequenceId":2}`)

	// The old socket may still be open.
	third := s.continued(target, 3)
	third.expectText(`{"type":9,"sequenceId":4}`)
	if _, failure := third.completion("2"); failure != "" {
		t.Error(failure)
	}
	second.expectEnd()
	third.expectText(`{"type":8,"sequenceId":2}`)
	s.status()
	third.expectEvent()
	if n := s.count("rte_fanout_resumptions_total", "outcome", "resumed"); n != 2 {
		t.Errorf("%v resumed", n)
	}
	// A Close message ends the id.
	third.text(`{"type":7}` + separator)
	third.expectText(`{"type":7}`)
	third.expectClose(1000)
	s.eventually("the connection has ended", func() bool { return s.Connections() == 0 })
	if response, _ := s.connect().upgrade(target, "alice"); response.StatusCode != http.StatusNotFound {
		t.Errorf("after the end: %s", response.Status)
	}
}

func TestResume_MessagePack(t *testing.T) {
	s := startServer(t, withResume)
	first, target := s.resumable("messagepack")
	// [1, {}, "1", "UnsubscribeAll", []]
	first.binary([]byte("\x15\x95\x01\x80\xa11\xaeUnsubscribeAll\x90"))
	_, completion, err := first.next()
	if err != nil {
		t.Fatal(err)
	}
	first.expect(opBinary, "\x03\x92\x08\x01")
	first.Close()
	second := s.again(target)
	second.binary([]byte("\x03\x92\x09\x01"))
	second.expect(opBinary, "\x03\x92\x09\x01")
	second.expect(opBinary, string(completion))
	second.binary([]byte("\x15\x95\x01\x80\xa11\xaeUnsubscribeAll\x90"))
	second.expect(opBinary, "\x03\x92\x08\x01")
	second.binary([]byte("\x03\x92\x08\x01"))
	second.expectNothing()
	second.binary([]byte("\x15\x95\x01\x80\xa12\xaeUnsubscribeAll\x90"))
	second.expect(opBinary, strings.Replace(string(completion), "\xa11", "\xa12", 1))
	second.expect(opBinary, "\x03\x92\x08\x02")
}

// The cause of the end of a connection is that of its last socket.
func TestResume_endsByItsLastSocket(t *testing.T) {
	ends := make(chan transport.End, 1)
	s := startServer(t, withResume, func(s *setup) { s.Ended = func(e transport.End) { ends <- e } })
	first, target := s.resumable("json")
	first.Close()
	s.eventually("the socket is lost", func() bool { return s.count("rte_fanout_outboxes_detached") == 1 })
	second := s.continued(target, 1)
	second.expectText(`{"type":9,"sequenceId":1}`)
	second.text("nonsense" + separator)
	second.expectText(closedWithError)
	second.expectClose(1000)
	if end := <-ends; end.Reason != hub.CloseProtocolError || end.Detail != "malformed_message" {
		t.Errorf("ended: %+v", end)
	}
}

func TestResume_refused(t *testing.T) {
	lost := func(s *server, w *wire) {
		w.Close()
		s.eventually("the socket is lost", func() bool { return s.count("rte_fanout_outboxes_detached") == 1 })
	}
	for name, test := range map[string]struct {
		before func(s *server, w *wire)
		token  string
		want   int
		goesOn bool
		change func(*setup)
	}{
		"another user":         {before: lost, token: "bob", want: http.StatusForbidden, goesOn: true},
		"another organization": {before: lost, token: "carol", want: http.StatusForbidden, goesOn: true},
		"a revoked session": {
			before: func(s *server, w *wire) {
				lost(s, w)
				s.hub.CloseIf(hub.CloseRevoked, func(*hub.Session) bool { return true })
			}, token: "alice", want: http.StatusNotFound,
		},
		"a drained session": {
			before: func(s *server, w *wire) { lost(s, w); _ = s.hub.Drain(s.t.Context(), hub.Pace{}) }, token: "alice",
			want: http.StatusNotFound,
		},
		"a socket that the client closed": {
			before: func(s *server, w *wire) {
				w.write(frame(fin|opClose, binary.BigEndian.AppendUint16(nil, 1000)))
				w.expectClose(1000)
			}, token: "alice", want: http.StatusNotFound,
		},
		"too late": {
			before: func(s *server, w *wire) {
				w.Close()
				s.eventually("the window is over", func() bool { return s.Connections() == 0 })
			}, token: "alice", want: http.StatusNotFound, change: func(s *setup) { s.Resume.Window = time.Millisecond },
		},
		"too much not acknowledged": {
			before: func(s *server, w *wire) {
				w.subscribeAck(s)
				for range 3 {
					s.status()
					w.expectEvent()
				}
			}, token: "alice", want: http.StatusNotFound,
			change: func(s *setup) { s.fanout.Resume = fanout.ResumeOptions{Bytes: 700} },
		},
		"a draining node": {
			before: func(s *server, w *wire) { lost(s, w); s.Drain() }, token: "alice",
			want: http.StatusServiceUnavailable, goesOn: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, func(s *setup) {
				withResume(s)
				if test.change != nil {
					test.change(s)
				}
			})
			w, target := s.resumable("json")
			test.before(s, w)
			if response, body := s.connect().upgrade(target, test.token); response.StatusCode != test.want {
				t.Errorf("%s %q, want %d", response.Status, body, test.want)
			}
			if test.goesOn {
				if n := s.Connections(); n != 1 {
					t.Errorf("%d connections", n)
				}
				return
			}
			s.eventually("the connection has ended", func() bool { return s.Connections() == 0 })
		})
	}
}

// A handshake of version 1 has no stateful reconnect, whatever negotiate granted.
func TestResume_version1(t *testing.T) {
	s := startServer(t, withResume)
	_, body := s.do(http.MethodPost, "/rte/negotiate?negotiateVersion=1&useStatefulReconnect=true", "alice")
	_, rest, _ := strings.Cut(body, `"connectionToken":"`)
	token, _, _ := strings.Cut(rest, `"`)
	w := s.again("/rte?id=" + token)
	w.text(handshake)
	w.expectText("{}")
	if result, failure := w.call("1", "UnsubscribeAll"); result != "true" {
		t.Error(result, failure)
	}
	w.expectNothing()
	w.Close()
	s.eventually("the connection has ended", func() bool { return s.Connections() == 0 })
}

func TestResume_violations(t *testing.T) {
	for name, message := range map[string]string{
		"a Sequence beyond what was sent": `{"type":9,"sequenceId":3}`,
		"a Sequence of 0":                 `{"type":9,"sequenceId":0}`,
		"no number":                       `{"type":9}`,
		"an Ack without a number":         `{"type":8}`,
		"a negative number":               `{"type":8,"sequenceId":-1}`,
		"a fraction":                      `{"type":8,"sequenceId":1.5}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, withResume)
			w, target := s.resumable("json")
			w.text(message + separator)
			w.expectText(`{"type":7,"error":"Connection closed with an error.","allowReconnect":true}`)
			w.expectClose(1000)
			if response, _ := s.connect().upgrade(target, "alice"); response.StatusCode != http.StatusNotFound {
				t.Errorf("afterwards: %s", response.Status)
			}
		})
	}
}

// A JavaScript client that got nothing for its server timeout gives its connection up. It also opens another socket for
// it, sends nothing, and takes all that comes for the answer to the handshake of its next connection. It gets nothing.
func TestResume_withoutSequence(t *testing.T) {
	s := startServer(t, withResume, func(s *setup) { s.Timeouts.Handshake = patience })
	first, target := s.resumable("json")
	first.subscribeAck(s)
	second := s.again(target)
	s.status()
	first.expectEvent() // the connection keeps its socket
	second.text(ping)

	// The end of the connection ends this socket only after the handshake timeout, or with the node.
	first.text(`{"type":7}` + separator)
	first.expectText(`{"type":7}`)
	s.eventually("the connection has ended", func() bool { return s.Connections() == 0 })
	second.text(sequence(2))
	second.expectEnd()
}

// A waiting socket ends with the next one, after the handshake timeout, or because of what the client sends.
func TestResume_endsSocketsWithoutSequence(t *testing.T) {
	for name, end := range map[string]func(s *server, w *wire, target string){
		"another one": func(s *server, _ *wire, target string) {
			s.continued(target, 1).expectText(`{"type":9,"sequenceId":1}`)
		},
		"too much":      func(_ *server, w *wire, _ string) { w.text(strings.Repeat(ping, 4000)) },
		"a Close frame": func(_ *server, w *wire, _ string) { w.write(frame(fin|opClose, nil)) },
		"nonsense":      func(_ *server, w *wire, _ string) { w.text("nonsense" + separator) },
		"a wrong frame": func(_ *server, w *wire, _ string) { w.write([]byte("\xff\xff")) },
		"the end of the node": func(s *server, _ *wire, _ string) {
			over, cancel := context.WithCancel(s.t.Context())
			cancel()
			_ = s.Shutdown(over)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, withResume, func(s *setup) { s.Timeouts.Handshake = patience })
			_, target := s.resumable("json")
			w := s.again(target)
			end(s, w, target)
			w.expectEnd()
		})
	}
}

// A JavaScript client that has given its connection up would give its next one up with this socket. So the socket
// stays, up to a bound, also after the end of the connection.
func TestResume_keepsSocketsWithoutSequence(t *testing.T) {
	s := startServer(t, withResume, func(s *setup) { s.Timeouts.Handshake = 50 * time.Millisecond })
	first, target := s.resumable("json")
	w := s.again(target)
	w.expect(opPing, "")
	if n := s.count("rte_transport_unclaimed_sockets"); n != 1 {
		t.Errorf("%v sockets counted", n)
	}
	first.text(`{"type":7}` + separator)
	first.expectText(`{"type":7}`)
	s.eventually("the connection has ended", func() bool { return s.Connections() == 0 })
	w.write(frame(fin|opPong, nil))
	w.text(sequence(1))
	w.expectEnd()
	s.eventually("the socket is forgotten", func() bool { return s.count("rte_transport_unclaimed_sockets") == 0 })
}

// A client whose socket is cut before the answer to its handshake must not continue: it would take the next message for
// the answer.
func TestResume_beforeTheAnswerToTheHandshake(t *testing.T) {
	s := startServer(t, withResume)
	_, body := s.do(http.MethodPost, "/rte/negotiate?negotiateVersion=1&useStatefulReconnect=true", "alice")
	_, rest, _ := strings.Cut(body, `"connectionToken":"`)
	token, _, _ := strings.Cut(rest, `"`)
	w := s.again("/rte?id=" + token)
	w.text(`{"protocol":"json","version":2}` + separator)
	s.eventually("the session is open", func() bool { return s.count("rte_transport_handshakes_total") == 1 })
	w.Close()
	if response, body := s.connect().upgrade("/rte?id="+token, "alice"); response.StatusCode != http.StatusNotFound {
		t.Errorf("%s %q", response.Status, body)
	}
	s.eventually("the connection has ended", func() bool { return s.Connections() == 0 })
}

// A node that does not have the connection, and does not know that its token is used up, ends the socket at once.
func TestResume_elsewhere(t *testing.T) {
	for name, send := range map[string]func(w *wire){
		"JSON":        func(w *wire) { w.text(`{"type":9,"sequenceId":1}` + separator) },
		"MessagePack": func(w *wire) { w.binary([]byte("\x03\x92\x09\x01")) },
	} {
		t.Run(name, func(t *testing.T) {
			secret := func(s *setup) { withResume(s); s.Secret = []byte("of all nodes") }
			s, other := startServer(t, secret), startServer(t, secret)
			_, target := s.resumable("json")
			w := other.again(target)
			send(w)
			w.expectClose(1000)
			other.eventually("the connection has ended", func() bool { return other.Connections() == 0 }) // else 409
			if response, _ := other.connect().upgrade(target, "alice"); response.StatusCode != http.StatusNotFound {
				t.Errorf("the next try: %s", response.Status)
			}
			if n := other.count("rte_transport_handshakes_failed_total", "reason", "elsewhere"); n != 1 {
				t.Errorf("%v counted", n)
			}
		})
	}
}
