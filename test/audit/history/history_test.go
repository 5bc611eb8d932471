package history_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/test/audit/history"
)

// topic returns one of the topics of the organization "o".
func topic(entity string) history.Topic {
	return history.Topic{Organization: "o", Entity: entity, Type: "UserStatus"}
}

// at returns a moment.
func at(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

// story is a history with one client and one connection, which subscribes to the entity "a" at 1 s and gets an event
// each second from 2 s on. The fault begins at 10 s, and the last look is at 200 s.
type story struct {
	history.History
	client *history.Client
	conn   *history.Connection
}

// newStory returns a story with the events 0 to 9.
func newStory() *story {
	s := &story{History: history.History{
		Limits:      history.Limits{Reload: time.Minute, Force: 30 * time.Second},
		Phases:      []history.Phase{{Name: "calm", Calm: true}, {Name: "fault", From: at(10)}},
		Clients:     []history.Client{{Name: "c", Notices: true, Wire: true, Rights: []history.Right{{Topic: topic("a")}}}},
		Connections: []*history.Connection{{Client: "c", Number: 1}},
		End:         at(200),
	}}
	s.client, s.conn = &s.Clients[0], s.Connections[0]
	s.record(1, history.Subscribing, "a")
	s.record(1.1, history.Subscribed, "a")
	for n := range 10 {
		s.publish("a", n)
		s.receive("a", n)
	}
	return s
}

// publish adds an acknowledged event: number n is published at n + 2 seconds.
func (s *story) publish(entity string, n int) *history.Event {
	begin := at(float64(n + 2))
	e := &history.Event{
		ID: fmt.Sprint(entity, n), Topic: topic(entity), Number: n, Tier: "T2", Begin: begin, End: begin + at(0.01),
		Acknowledged: true,
	}
	s.Events = append(s.Events, e)
	return e
}

// record adds a record of the connection.
func (s *story) record(seconds float64, kind history.Kind, entities ...string) *history.Record {
	r := history.Record{At: at(seconds), Kind: kind}
	for _, entity := range entities {
		r.Topics = append(r.Topics, topic(entity))
	}
	s.conn.Records = append(s.conn.Records, r)
	return &s.conn.Records[len(s.conn.Records)-1]
}

// receive adds the arrival of event n.
func (s *story) receive(entity string, n int) {
	r := s.record(float64(n)+2.1, history.Received, entity)
	r.ID, r.Number = fmt.Sprint(entity, n), n
}

// drop removes the arrival of event n.
func (s *story) drop(n int) {
	s.conn.Records = slices.DeleteFunc(s.conn.Records, func(r history.Record) bool {
		return r.Kind == history.Received && r.Number == n
	})
}

// reconnect ends the connection, and begins the next one with a subscription to "a".
func (s *story) reconnect(end, subscribed float64) {
	s.record(end, history.Closed)
	s.conn = &history.Connection{Client: "c", Number: s.conn.Number + 1}
	s.Connections = append(s.Connections, s.conn)
	s.record(subscribed-0.1, history.Subscribing, "a")
	s.record(subscribed, history.Subscribed, "a")
}

// lag makes event 3 arrive behind the publication of event 5, and event 4 not at all. Both describe states.
func (s *story) lag(states ...string) {
	s.drop(4)
	s.Events[4].State, s.Events[5].State = states[0], states[1]
	i := slices.IndexFunc(s.conn.Records, func(r history.Record) bool { return r.ID == "a3" })
	s.conn.Records[i].At = at(7.05)
}

// lost adds a notice of lost events of "a".
func (s *story) lost(seconds, from, to float64) *history.Record {
	r := s.record(seconds, history.Lost, "a")
	first, last := at(from), at(to)
	r.From, r.To = &first, &last
	return r
}

// Each case changes the story in one way. want is the only violation, empty if there is none, and text a part of its
// explanation.
func TestCheck(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*story)
		want   history.Violation
		text   string
	}{
		"everything arrived": {func(*story) {}, "", ""},
		"an event is missing": {
			func(s *story) { s.drop(4) }, history.Missing,
			"event 4 of UserStatus of a in o (T2, id a4, published between 6.000 s and 6.010 s) did not come. The client had " +
				"subscribed at 1.100 s; the event before was number 3; the event behind was number 5; it got no notice",
		},
		"the last event is missing": {
			func(s *story) { s.drop(9) }, history.Missing, "no later event came",
		},
		"a newer state replaced it while the client lagged": {func(s *story) { s.lag("x", "x") }, "", ""},
		"the newer one describes another state":             {func(s *story) { s.lag("x", "y") }, history.Missing, "event 4"},
		"the missing one is a step":                         {func(s *story) { s.lag("", "") }, history.Missing, "event 4"},
		"a state is missing, but the client did not lag": {func(s *story) {
			s.lag("x", "x")
			s.conn.Records[5].At = at(5.1)
		}, history.Missing, "event 4"},
		"a missing event was not acknowledged": {func(s *story) {
			s.drop(4)
			s.Events[4].Acknowledged = false
		}, "", ""},
		"an event without acknowledgement arrived": {func(s *story) { s.Events[4].Acknowledged = false }, "", ""},
		"a missing event was published before the answer of Subscribe": {func(s *story) {
			s.drop(0)
			s.Events[0].Begin = at(1.05)
		}, "", ""},
		"a notice covers the missing event": {func(s *story) {
			s.drop(4)
			s.lost(20, 5, 7)
		}, "", ""},
		"a notice ends before the missing event": {func(s *story) {
			s.drop(4)
			s.lost(20, 4, 5.9)
		}, history.Missing, "its notices were [4.000 s to 5.900 s at 20.000 s, 1 topics, ]"},
		"a notice begins behind the missing event": {func(s *story) {
			s.drop(4)
			s.lost(20, 6.1, 7)
		}, history.Missing, ""},
		"a notice came before the missing event": {func(s *story) {
			s.drop(9)
			s.conn.Records = slices.Insert(s.conn.Records, 5, *s.lost(5.5, 5, 100))
			s.conn.Records = s.conn.Records[:len(s.conn.Records)-1]
		}, history.Missing, ""},
		"a notice of another topic": {func(s *story) {
			s.drop(4)
			s.lost(20, 5, 7).Topics = []history.Topic{topic("b")}
		}, history.Missing, ""},
		"a notice that names some of its topics": {func(s *story) {
			s.drop(4)
			r := s.lost(20, 5, 7)
			r.Topics, r.All = []history.Topic{topic("b")}, true
		}, "", ""},
		"a notice without bounds": {func(s *story) {
			s.drop(4)
			s.record(20, history.Lost, "a")
		}, "", ""},
		"the connection ended, and events in flight are missing": {func(s *story) {
			s.drop(8)
			s.drop(9)
			s.reconnect(12, 14)
		}, "", ""},
		"a gap in a calm phase, then the end of the connection": {func(s *story) {
			s.drop(2)
			s.reconnect(12, 14)
		}, history.Missing, "until 12.000 s (the end of the connection)"},
		"a gap while there was a fault, then the end of the connection": {func(s *story) {
			s.publish("a", 10)
			s.publish("a", 11)
			s.receive("a", 11)
			s.reconnect(20, 22)
		}, "", ""},
		"the connection ended too late to report a missing event": {func(s *story) {
			s.publish("a", 10)
			s.reconnect(100, 102)
		}, history.Missing, ""},
		"events without a connection are missing": {func(s *story) {
			s.reconnect(12, 20)
			s.publish("a", 11)
			s.publish("a", 17)
		}, "", ""},
		"the first event of the next connection is missing": {func(s *story) {
			s.reconnect(12, 20)
			s.publish("a", 19)
		}, history.Missing, "connection 2"},
		"an event came twice": {func(s *story) { s.receive("a", 9) }, history.Duplicated, "came again at 11.100 s"},
		"an event came again on the next connection": {func(s *story) {
			s.reconnect(12, 14)
			s.receive("a", 9)
		}, "", ""},
		"two events changed places": {func(s *story) {
			r := s.conn.Records
			r[5], r[6] = r[6], r[5]
		}, history.Disordered, "event 3"},
		"two events changed places in an interval of a notice": {func(s *story) {
			r := s.conn.Records
			r[5], r[6] = r[6], r[5]
			s.lost(20, 4, 7)
		}, "", ""},
		"an event came late, and the connection ended without a notice for any client": {func(s *story) {
			s.publish("a", 10)
			s.publish("a", 11)
			s.receive("a", 11)
			s.receive("a", 10)
			s.reconnect(15, 16)
		}, history.Disordered, "the end of the connection"},
		"an event came late, and the connection ended while another one got a notice": {func(s *story) {
			s.publish("a", 10)
			s.publish("a", 11)
			s.receive("a", 11)
			s.receive("a", 10)
			s.reconnect(15, 16)
			s.lost(20, 11, 13)
		}, "", ""},
		"an event of T0 came after one with a journal, while nothing went wrong": {func(s *story) {
			s.Events[2].Tier = history.Plain
			r := s.conn.Records
			r[4], r[5] = r[5], r[4]
		}, history.Disordered, ""},
		"an event of T0 came after one with a journal, in a repair": {func(s *story) {
			s.publish("a", 10).Tier = history.Plain
			s.publish("a", 11)
			s.receive("a", 11)
			s.receive("a", 10)
		}, "", ""},
		"an event with a journal came after another one, in a repair": {func(s *story) {
			s.publish("a", 10)
			s.publish("a", 11)
			s.receive("a", 11)
			s.receive("a", 10)
		}, history.Disordered, "event 10"},
		"an event without acknowledgement came late": {func(s *story) {
			s.Events[3].Acknowledged = false
			r := s.conn.Records
			r[5], r[6] = r[6], r[5]
		}, "", ""},
		"an event that was never published": {func(s *story) {
			s.record(15, history.Received, "a").ID = "x"
		}, history.Foreign, "no publisher sent that"},
		"an event with another number": {func(s *story) {
			s.conn.Records[4].Number = 7
		}, "both", ""},
		"an event of another topic of the client": {func(s *story) {
			s.client.Rights = append(s.client.Rights, history.Right{Topic: topic("b")})
			s.publish("b", 9)
			s.receive("b", 9)
		}, history.Foreign, "without a subscription"},
		"an event without a right": {func(s *story) {
			s.client.Rights = nil
			s.conn.Records = s.conn.Records[:2]
			s.Events = nil
		}, history.Unauthorized, "Subscribe granted UserStatus of a in o"},
		"an event before the answer": {func(s *story) {
			s.client.Rights = append(s.client.Rights, history.Right{Topic: topic("b")})
			s.record(10, history.Subscribing, "b")
			s.publish("b", 9)
			s.receive("b", 9)
			s.record(12, history.Subscribed, "b")
		}, history.Foreign, ""},
		"an event before the answer, as a library may show it": {func(s *story) {
			s.client.Wire = false
			s.client.Rights = append(s.client.Rights, history.Right{Topic: topic("b")})
			s.record(10, history.Subscribing, "b")
			s.publish("b", 9)
			s.receive("b", 9)
			s.record(12, history.Subscribed, "b")
		}, "", ""},
		"Unsubscribe, and events in flight are missing": {func(s *story) {
			s.drop(9)
			s.record(12, history.Unsubscribing, "a")
			s.record(12.1, history.Unsubscribed, "a")
		}, "", ""},
		"Unsubscribe, and an event comes before its answer": {func(s *story) {
			s.record(12, history.Unsubscribing, "a")
			s.publish("a", 10)
			s.receive("a", 10)
			s.record(12.2, history.Unsubscribed, "a")
		}, "", ""},
		"Unsubscribe, and an event comes after its answer": {func(s *story) {
			s.record(12, history.Unsubscribing, "a")
			s.record(12.05, history.Unsubscribed, "a")
			s.publish("a", 10)
			s.receive("a", 10)
		}, history.Late, "after the end of the subscription"},
		"the server ends a subscription without a reason": {func(s *story) {
			s.record(12, history.Ended, "a")
		}, history.Dropped, ""},
		"the server ends a subscription whose right ends": {func(s *story) {
			s.client.Rights[0].Until, s.client.Rights[0].Gone = at(11.9), at(12)
			s.record(12, history.Ended, "a")
			s.publish("a", 10)
		}, "", ""},
		"an event comes after that": {func(s *story) {
			s.client.Rights[0].Until, s.client.Rights[0].Gone = at(11.9), at(12)
			s.record(12, history.Ended, "a")
			s.publish("a", 10)
			s.receive("a", 10)
		}, history.Late, ""},
		"the right has ended, and the events do not": {func(s *story) {
			s.client.Rights[0].Until, s.client.Rights[0].Gone = at(11.5), at(11.6)
			s.publish("a", 40)
			s.receive("a", 40)
		}, history.Unauthorized, "the right had ended at 11.600 s"},
		"the token has expired, and the events come": {func(s *story) {
			s.conn.Expires = at(11)
			s.publish("a", 40)
			s.receive("a", 40)
		}, history.Unauthorized, "the token had expired at 11.000 s"},
		"a last state": {func(s *story) {
			s.States = []history.State{{Topic: topic("a"), Requested: at(20), Number: 9}}
		}, "", ""},
		"an old last state": {func(s *story) {
			s.States = []history.State{{Topic: topic("a"), Requested: at(20), Number: 8}}
		}, history.Stale, "got the state 8"},
		"no last state": {func(s *story) {
			s.States = []history.State{{Topic: topic("a"), Requested: at(20), Number: -1}}
		}, history.Stale, ""},
		"a state again by a new subscription, for a client with snapshots": {func(s *story) {
			s.client.Snapshot = true
			s.record(11.2, history.Unsubscribing, "a")
			s.record(11.3, history.Unsubscribed, "a")
			s.record(11.4, history.Subscribing, "a")
			s.record(11.5, history.Subscribed, "a")
			s.receive("a", 9)
		}, "", ""},
		"an unknown client": {func(s *story) { s.conn.Client = "x" }, history.Foreign, "no such client"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory()
			test.change(s)
			report := history.Check(&s.History)
			if test.want == "both" {
				if !report.Has(history.Foreign) || !report.Has(history.Missing) {
					t.Errorf("got %s, want a foreign and a missing event", report.Explain())
				}
				return
			}
			switch {
			case test.want == "" && len(report.Findings) > 0:
				t.Errorf("got %s, want none", report.Explain())
			case test.want != "" && (len(report.Findings) != 1 || report.Findings[0].Violation != test.want):
				t.Errorf("got %s, want one: %s", report.Explain(), test.want)
			case !strings.Contains(report.Explain(), test.text):
				t.Errorf("got %s, want a text with %q", report.Explain(), test.text)
			}
		})
	}
}

// The table counts what a phase published.
func TestCheck_countsByPhase(t *testing.T) {
	s := newStory()
	s.drop(8) // published at the beginning of the fault
	s.lost(20, 9, 11)
	s.reconnect(30, 32)
	report := history.Check(&s.History)
	want := "| calm | 8 | 8 | 8 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 |\n" +
		"| fault | 2 | 2 | 1 | 0 | 0 | 1 | 0 | 0 | 1 | 0 | 0 | 0 | 0 |\n"
	if got := report.Table("fault"); !strings.HasSuffix(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	total := history.Report{Rows: []history.Row{*report.Sum("both")}}
	want = "| both | 10 | 10 | 9 | 0 | 0 | 1 | 0 | 0 | 1 | 0 | 0 | 0 | 0 |\n"
	if got := total.Table("fault"); !strings.HasSuffix(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if lost := report.Rows[1].Unrepaired(); lost != 1 {
		t.Errorf("%d events with a journal were not repaired, want 1", lost)
	}
}

// An event that was acknowledged before the answer of Subscribe is not promised, so it may come behind a later one.
func TestCheck_excusesTheOrderBeforeTheSubscription(t *testing.T) {
	for opened, want := range map[float64]int{3.5: 1, 2.5: 0} { // event 1 is published at 3 seconds
		s := newStory()
		records := s.conn.Records
		s.conn.Records = nil
		s.record(1, history.Subscribing, "a")
		s.record(opened, history.Subscribed, "a")
		s.conn.Records = append(s.conn.Records, records[4], records[3]) // events 2 and 1
		s.conn.Records = append(s.conn.Records, records[5:]...)
		report := history.Check(&s.History)
		if moved := report.Sum("").Moved; moved != want || report.Has(history.Disordered) == (want == 1) {
			t.Errorf("subscribed at %.1f s: %d events moved, %s", opened, moved, report.Explain())
		}
	}
}

// Whatever single arrival is removed, repeated or moved, Check finds it.
func TestCheck_findsEachChange(t *testing.T) {
	for n := range 10 {
		for name, change := range map[string]func(*story){
			"removed":  func(s *story) { s.drop(n) },
			"repeated": func(s *story) { s.conn.Records = append(s.conn.Records, s.conn.Records[2+n]) },
			"at the end": func(s *story) {
				r := s.conn.Records[2+n]
				s.drop(n)
				s.conn.Records = append(s.conn.Records, r)
				if n == 9 {
					s.receive("a", 0) // the last one is there already
				}
			},
			"of another entity": func(s *story) { s.conn.Records[2+n].Topics = []history.Topic{topic("b")} },
		} {
			s := newStory()
			change(s)
			if report := history.Check(&s.History); len(report.Findings) == 0 {
				t.Errorf("event %d %s: no finding", n, name)
			}
		}
	}
}

// A node that gets the first subscription to a lane while Redis is away reports what was published until Redis is back.
func TestCheck_expectsNoRepairOfSubscriptionsInDoubt(t *testing.T) {
	for name, test := range map[string]struct {
		from       float64
		unrepaired int
	}{"subscribed before the loss": {1.5, 1}, "subscribed in the loss": {1.05, 0}} {
		t.Run(name, func(t *testing.T) {
			s := newStory()
			s.drop(0)
			s.lost(20, test.from, 3)
			report := history.Check(&s.History)
			if got := report.Rows[0].Unrepaired(); got != test.unrepaired || len(report.Findings) > 0 {
				t.Errorf("%d events should have been repaired, want %d; %s", got, test.unrepaired, report.Explain())
			}
		})
	}
}
