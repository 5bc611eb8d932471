package transport_test

import (
	"strings"
	"testing"
)

// A client that did not read gets the Close message when it reads again, behind whole events.
func TestSlowClient_getsCloseMessage(t *testing.T) {
	entity := mustID("aa9730c4-ce86-e611-80c9-00505689257e")
	s := startServer(t, func(s *setup) { s.fanout.Outbox.Bytes = 64 << 10 })
	w := s.open("json")
	w.call("1", "Subscribe", []map[string]string{{"EntityId": entity.String(), "EventName": "UserCallInArrived"}})
	more := `,"Username":"` + strings.Repeat("x", 32<<10) + `"`
	s.eventually("too much waits for the client", func() bool {
		for range 20 {
			s.publish("UserCallInArrived", "User", entity, more)
		}
		return s.count("rte_fanout_dropped_total", "reason", "slow") > 0
	})
	if capacity := s.count("rte_fanout_outbox_capacity_bytes"); capacity != 64<<10 {
		t.Errorf("%v bytes may wait", capacity)
	}

	events := 0
	for {
		opcode, payload, err := w.next()
		if err != nil {
			t.Fatalf("after %d events: %v", events, err)
		}
		if opcode == opPing { // shows when a slow client has read what is in front of it
			continue
		}
		if message := string(payload); message == closedWithError+separator {
			break
		} else if !strings.HasPrefix(message, `{"type":1,"target":"MessageReceived"`) {
			t.Fatalf("got %.100q", message)
		}
		events++
	}
	w.expectClose(1000)
	s.eventually("what has come is what is counted", func() bool {
		return s.count("rte_fanout_deliveries_total") == float64(events)
	})
	if n := s.count("rte_hub_sessions_closed_total", "reason", "slow"); n != 1 {
		t.Errorf("%v sessions are counted as slow", n)
	}
}
