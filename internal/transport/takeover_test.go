package transport_test

import (
	"net/http"
	"strings"
	"testing"
)

// A socket takes over while the one before is open and its reader waits, or sleeps because of the client's rates. Such
// a reader used to read the new socket in place of its own: calls that the client sent again ran twice.
func TestResume_replacesAnOpenSocket(t *testing.T) {
	for name, before := range map[string]func(s *server, w *wire){
		"whose reader waits": func(*server, *wire) {},
		"whose reader sleeps": func(s *server, w *wire) {
			w.text(strings.Repeat(ping, 10_500)) // 10 s are free, half a second is not
			s.eventually("the reader sleeps", func() bool {
				return s.count("rte_transport_throttled_total", "rate", "frames") > 0
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, withResume, func(s *setup) { s.Limits.FrameRate = 1000 })
			w, target := s.resumable("json")
			before(s, w)
			for range 2 {
				next := s.continued(target, 1)
				next.expectText(`{"type":9,"sequenceId":1}`)
				next.expectNothing()
				w.expectEnd()
				w = next
			}
			if result, failure := w.call("1", "UnsubscribeAll"); result != "true" {
				t.Errorf("%s %s", result, failure)
			}
			w.expectText(`{"type":8,"sequenceId":1}`)
			next := s.continued(target, 1)
			next.expectText(`{"type":9,"sequenceId":1}`)
			if _, failure := next.completion("1"); failure != "" {
				t.Error(failure)
			}
			next.expectText(`{"type":8,"sequenceId":1}`)
			next.text(callUnsubscribeAll("1")) // again, and ignored
			next.expectNothing()
		})
	}
}

// A client that takes its connection over again and again gets everything again each time. Beyond a rate it has to make
// a new connection. This one stays as it was.
func TestResume_boundsTheRateOfSockets(t *testing.T) {
	s := startServer(t, withResume)
	w, target := s.resumable("json")
	w.Close()
	s.eventually("the socket is lost", func() bool { return s.count("rte_fanout_outboxes_detached") == 1 })
	granted := 0
	for granted < 5000 {
		response, _ := s.connect().upgrade(target, "alice")
		if response.StatusCode == http.StatusNotFound {
			break
		}
		granted++
	}
	refused := s.count("rte_transport_requests_refused_total", "request", "hub", "reason", "takeovers")
	if refused != 1 || granted < 200 {
		t.Errorf("%d sockets were granted, %v are counted as refused", granted, refused)
	}
	if n := s.Connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// Several sockets take over at once: one of them stays. A socket that was closed for the next one, just when its
// Sequence had come, used to take over as well, and closed the next one.
func TestResume_oneOfSeveralSocketsStays(t *testing.T) {
	const rounds, sockets = 10, 4
	s := startServer(t, withResume)
	w, target := s.resumable("json")
	for range rounds {
		w.Close()
		s.eventually("the socket is lost", func() bool { return s.count("rte_fanout_outboxes_detached") == 1 })
		var all [sockets]*wire
		ended, alive := make(chan *wire, sockets), make(chan *wire, sockets)
		for i := range all {
			all[i] = s.connect()
		}
		for _, w := range all {
			go func() {
				defer func() { ended <- w }()
				_, _ = w.Write(append([]byte("GET "+target+" HTTP/1.1\r\nHost: rte\r\nAuthorization: Bearer alice\r\n"+
					strings.Join(upgradeHeaders, "\r\n")+"\r\n\r\n"), frame(fin|opText, []byte(sequence(1)))...))
				if _, err := http.ReadResponse(w.in, nil); err != nil {
					return
				}
				for opcode, _, err := w.next(); err == nil; opcode, _, err = w.next() {
					if opcode == opPong {
						alive <- w
						return
					}
				}
			}()
		}
		for range sockets - 1 {
			<-ended
		}
		for _, w := range all {
			_, _ = w.Write(frame(fin|opPing, nil))
		}
		<-ended
		select {
		case w = <-alive:
		default:
			t.Fatal("no socket is left")
		}
	}
}

// Another socket may come with a later token that has fewer rights. They count at once, as after a refresh.
func TestResume_withFewerRights(t *testing.T) {
	s := startServer(t, withResume, func(s *setup) {
		s.Verifier, s.hub.Authorization.Rechecker = rowBearers(), supervisors{}
	})
	w, target := s.resumable("json")
	w.subscribeAck(s)
	w.Close()
	s.eventually("the socket is lost", func() bool { return s.count("rte_fanout_outboxes_detached") == 1 })
	next := s.againOf("later", target)
	next.text(sequence(2))
	next.expectText(`{"type":9,"sequenceId":1}`)
	if n := s.count("rte_hub_subscriptions_active"); n != 1 {
		t.Errorf("%v subscriptions with the same rights", n)
	}
	s.againOf("as agent later", target).text(sequence(2))
	s.eventually("the subscription has ended", func() bool { return s.count("rte_hub_subscriptions_active") == 0 })
}

// A connection that may continue on another socket is not compressed: the next socket may not offer it.
func TestResume_withoutDeflate(t *testing.T) {
	s := startServer(t, withResume, withDeflate)
	for query, want := range map[string]bool{"&useStatefulReconnect=true": false, "": true} {
		_, body := s.do(http.MethodPost, "/rte/negotiate?negotiateVersion=1"+query, "alice")
		_, rest, _ := strings.Cut(body, `"connectionToken":"`)
		token, _, _ := strings.Cut(rest, `"`)
		response, _ := s.connect().upgrade("/rte?id="+token, "alice", "Sec-WebSocket-Extensions: permessage-deflate")
		granted := response.Header.Get("Sec-WebSocket-Extensions") != ""
		if response.StatusCode != http.StatusSwitchingProtocols || granted != want {
			t.Errorf("%q: %s, compressed: %v", query, response.Status, granted)
		}
	}
}
