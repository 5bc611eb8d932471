package transport_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

const (
	subscribeCall = `{"type":1,"invocationId":"1","target":"Subscribe",` +
		`"arguments":[[{"EntityId":"c9eeb030-ff4b-ea11-ac9c-00155d4fdcf3","EventName":"QueueStatus"}]]}` + separator
	cancelCall = `{"type":5,"invocationId":"1"}` + separator
)

// canceled returns the number of canceled calls of a method.
func (s *server) canceled(method string) float64 {
	s.t.Helper()
	return s.count("rte_hub_invocations_total", "method", method, "outcome", "canceled")
}

// A client that cancels a call which waits gets no answer, and nothing of the call is left. The reader used to wait for
// the end of the call before it read the CancelInvocation.
func TestCancel_whileTheCallWaits(t *testing.T) {
	for name, send := range map[string]func(s *server, w *wire){
		"in a frame of its own": func(s *server, w *wire) {
			w.text(subscribeCall)
			s.eventually("the call runs", func() bool {
				return s.count("rte_transport_received_messages_total", "type", "invocation") == 1
			})
			w.text(cancelCall)
		},
		"in the frame of the call": func(_ *server, w *wire) { w.text(subscribeCall + cancelCall) },
		"with another call between": func(_ *server, w *wire) {
			w.text(subscribeCall + `{"type":1,"target":"UnsubscribeAll","arguments":[]}` + separator + cancelCall)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t)
			w := s.open("json")
			s.lanes.blocked.Lock()
			send(s, w)
			s.eventually("the call is canceled", func() bool { return s.canceled("Subscribe") == 1 })
			s.lanes.blocked.Unlock()
			if result, failure := w.call("2", "ActiveSubscriptions"); result != "[]" {
				t.Error(result, failure)
			}
			if n := s.count("rte_hub_subscriptions_active"); n != 0 {
				t.Errorf("%v subscriptions", n)
			}
			if n := s.count("rte_hub_sessions_undecided"); n != 0 {
				t.Errorf("%v sessions will be notified of a call that they canceled", n)
			}
		})
	}
	t.Run("in MessagePack", func(t *testing.T) {
		s := startServer(t)
		w := s.open("messagepack")
		s.lanes.blocked.Lock()
		const entity = "\xa8EntityId\xd9\x24c9eeb030-ff4b-ea11-ac9c-00155d4fdcf3"
		call := "\x96\x01\x80\xa11\xa9Subscribe\x91\x91\x82" + entity + "\xa9EventName\xabQueueStatus\x90"
		w.binary([]byte(string(rune(len(call))) + call + "\x05\x93\x05\x80\xa11"))
		s.eventually("the call is canceled", func() bool { return s.canceled("Subscribe") == 1 })
		s.lanes.blocked.Unlock()
		w.binary([]byte("\x16\x96\x01\x80\xa12\xaeUnsubscribeAll\x90\x90"))
		w.expect(opBinary, "\x07\x95\x03\x80\xa12\x03\xc3")
	})
	t.Run("by LongPolling", func(t *testing.T) {
		s := startServer(t, withFallbacks)
		target := s.longPolling("json")
		s.lanes.blocked.Lock()
		s.fetch(http.MethodPost, target, "alice", subscribeCall).expect(t, 200, "")
		s.fetch(http.MethodPost, target, "alice", cancelCall).expect(t, 200, "")
		s.eventually("the call is canceled", func() bool { return s.canceled("Subscribe") == 1 })
		s.lanes.blocked.Unlock()
		s.fetch(http.MethodPost, target, "alice", callUnsubscribeAll("2")).expect(t, 200, "")
		s.fetch(http.MethodGet, target, "alice", "").expect(t, 200, `{"type":3,"invocationId":"2","result":true}`+separator)
	})
}

func callUnsubscribeAll(id string) string {
	return `{"type":1,"invocationId":"` + id + `","target":"UnsubscribeAll","arguments":[]}` + separator
}

// A call that waits for a place in the pool, or for the call before it, never runs.
func TestCancel_beforeTheCallRuns(t *testing.T) {
	t.Run("behind another call", func(t *testing.T) {
		s := startServer(t)
		w := s.open("json")
		s.lanes.blocked.Lock()
		w.text(strings.Replace(subscribeCall, `"1"`, `"0"`, 1) + callUnsubscribeAll("1") + cancelCall)
		w.expectNothing() // the server has read all of it
		s.lanes.blocked.Unlock()
		if result, failure := w.completion("0"); !strings.Contains(result, `"subscribed":true`) {
			t.Error(result, failure)
		}
		if result, failure := w.call("2", "ActiveSubscriptions"); !strings.Contains(result, "QueueStatus") {
			t.Errorf("the canceled call ran: %s %s", result, failure)
		}
		if n := s.canceled("UnsubscribeAll"); n != 1 {
			t.Errorf("%v canceled calls", n)
		}
	})
	t.Run("without a place in the pool", func(t *testing.T) {
		s := startServer(t)
		s.lanes.blocked.Lock()
		first, second, w := s.open("json"), s.open("json"), s.open("json")
		first.text(subscribeCall)
		second.text(subscribeCall)
		s.eventually("the pool is full", func() bool { return s.count("rte_hub_pool_busy") == 2 })
		w.text(callUnsubscribeAll("1") + cancelCall)
		s.eventually("the call is canceled", func() bool { return s.canceled("UnsubscribeAll") == 1 })
		s.lanes.blocked.Unlock()
		first.completion("1")
		second.completion("1")
		if result, failure := w.call("2", "UnsubscribeAll"); result != "true" {
			t.Error(result, failure)
		}
	})
}

// A late CancelInvocation changes nothing. The same holds for one with an unknown id.
func TestCancel_ofNoCallThatWaits(t *testing.T) {
	s := startServer(t)
	w := s.open("json")
	w.text(subscribeCall)
	if result, failure := w.completion("1"); !strings.Contains(result, `"subscribed":true`) {
		t.Error(result, failure)
	}
	s.lanes.blocked.Lock()
	w.text(cancelCall + `{"type":5,"invocationId":"x"}` + separator)
	w.text(strings.NewReplacer(`"1"`, `"2"`, "c9", "d9").Replace(subscribeCall) + cancelCall)
	w.expectNothing()
	s.lanes.blocked.Unlock()
	w.completion("2")
	if result, failure := w.call("3", "ActiveSubscriptions"); strings.Count(result, "QueueStatus") != 2 {
		t.Error(result, failure)
	}
	if n := s.count("rte_transport_received_messages_total", "type", "cancel_invocation"); n != 3 {
		t.Errorf("%v messages counted", n)
	}
}

// A CancelInvocation has a number, and the canceled call has none in the other direction.
func TestCancel_beforeAnotherSocket(t *testing.T) {
	s := startServer(t, withResume)
	first, target := s.resumable("json")
	s.lanes.blocked.Lock()
	first.text(subscribeCall)
	s.eventually("the call runs", func() bool {
		return s.count("rte_transport_received_messages_total", "type", "invocation") == 1
	})
	first.Close()
	s.eventually("the socket is lost", func() bool { return s.count("rte_fanout_outboxes_detached") == 1 })
	second := s.again(target)
	second.text(sequence(1) + subscribeCall + cancelCall)
	second.expectText(`{"type":9,"sequenceId":1}`)
	s.eventually("the call is canceled", func() bool { return s.canceled("Subscribe") == 1 })
	s.lanes.blocked.Unlock()
	second.expectText(`{"type":8,"sequenceId":2}`)
	if result, failure := second.call("2", "ActiveSubscriptions"); result != "[]" {
		t.Error(result, failure)
	}
	second.expectText(`{"type":8,"sequenceId":3}`)
}

// The server reads only some calls ahead, and answers all of them, in order.
func TestInvoke_readsAhead(t *testing.T) {
	for name, bytes := range map[string]int{"many calls": 0, "large calls": 3000} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t)
			w := s.open("json")
			s.lanes.blocked.Lock()
			w.text(subscribeCall)
			const count = 100
			calls := strings.Builder{}
			for i := range count {
				calls.WriteString(strings.Replace(
					callUnsubscribeAll(fmt.Sprint(i)), `{`, `{"padding":"`+strings.Repeat("x", bytes)+`",`, 1))
			}
			w.text(calls.String())
			s.eventually("the server reads ahead", func() bool {
				return s.count("rte_transport_received_messages_total", "type", "invocation") > 1
			})
			if n := s.count("rte_transport_received_messages_total", "type", "invocation"); n > 11 {
				t.Errorf("%v calls wait in memory", n)
			}
			s.lanes.blocked.Unlock()
			w.completion("1")
			for i := range count {
				w.completion(fmt.Sprint(i))
			}
			if n := s.count("rte_transport_pending_bytes"); n != 0 {
				t.Errorf("%v bytes are reserved", n)
			}
		})
	}
}
