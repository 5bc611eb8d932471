package history_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/test/audit/history"
)

// forget drops what happened before a moment, as the recorder does.
func (s *story) forget(seconds float64) {
	s.Events = slices.DeleteFunc(s.Events, func(e *history.Event) bool { return e.End < at(seconds) })
	for _, conn := range s.Connections {
		conn.Forget(at(seconds))
	}
}

// Each violation behind the moment is found as before, and what was right stays right.
func TestForget_keepsWhatLaterRecordsNeed(t *testing.T) {
	for name, change := range map[string]func(*story){
		"everything arrived":  func(*story) {},
		"an event is missing": func(s *story) { s.drop(6) },
		"an event came twice": func(s *story) { s.receive("a", 7) },
		"an event is foreign": func(s *story) { s.record(11.5, history.Received, "a").ID = "x" },
		"a notice covers an event": func(s *story) {
			s.drop(6)
			s.lost(20, 7, 9)
		},
		"the connection ended": func(s *story) { s.reconnect(12, 13) },
		"the subscription ended": func(s *story) {
			s.record(11.5, history.Unsubscribing, "a")
			s.record(11.6, history.Unsubscribed, "a")
			s.publish("a", 10)
		},
		"an event came after the subscription": func(s *story) {
			s.record(11.5, history.Unsubscribing, "a")
			s.record(11.6, history.Unsubscribed, "a")
			s.publish("a", 10)
			s.receive("a", 10)
		},
		"the server ended the subscription": func(s *story) { s.record(11.5, history.Ended, "a") },
	} {
		t.Run(name, func(t *testing.T) {
			whole, rest := newStory(), newStory()
			change(whole)
			change(rest)
			rest.forget(5.5)
			if n := len(rest.conn.Records); n >= len(whole.conn.Records) && rest.conn.Number == 1 {
				t.Errorf("%d records stay, all", n)
			}
			want, got := history.Check(&whole.History), history.Check(&rest.History)
			if diff := cmp.Diff(violations(want), violations(got)); diff != "" {
				t.Errorf("findings with all records, and with the last ones:\n%s", diff)
			}
		})
	}
}

func violations(r *history.Report) (list []history.Violation) {
	for _, f := range r.Findings {
		list = append(list, f.Violation)
	}
	return list
}

// A call that is under way at the moment keeps its beginning, and what had ended leaves nothing.
func TestForget_keepsSubscriptionsOfTheMoment(t *testing.T) {
	s := &story{conn: &history.Connection{}}
	s.record(1, history.Subscribing, "a", "b", "c", "d")
	s.record(2, history.Subscribed, "a", "b", "c")
	s.record(3, history.Unsubscribing, "b")
	s.record(4, history.Unsubscribed, "b")
	s.record(5, history.Ended, "c")
	s.record(6, history.Received, "a")
	s.record(7, history.Unsubscribing, "a")
	s.record(9, history.Unsubscribed, "a")
	s.conn.Forget(at(8))
	want := &story{conn: &history.Connection{}}
	want.record(1, history.Subscribing, "a")
	want.record(1, history.Subscribing, "d")
	want.record(2, history.Subscribed, "a")
	want.record(7, history.Unsubscribing, "a")
	want.record(9, history.Unsubscribed, "a")
	if diff := cmp.Diff(want.conn, s.conn); diff != "" {
		t.Errorf("records that stay, want and got:\n%s", diff)
	}
	s.record(10, history.Closed)
	s.conn.Forget(at(11))
	if len(s.conn.Records) != 1 || s.conn.Records[0].Kind != history.Closed {
		t.Errorf("a connection that has ended keeps %v", s.conn.Records)
	}
}
