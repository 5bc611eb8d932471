package fanout_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
)

func TestQuota_limitsEventsPerOrganization(t *testing.T) {
	const second = 10 // events, and what may come at once
	ofOther := events.Topic{Organization: events.ID{9}, Entity: events.ID{1}, Type: 1}

	t.Run("holds back states and sends the newest", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1, Flow: fanout.FlowOptions{Quota: second}}, func(t *testing.T, r *rig) {
			s := newSocket()
			_, id := r.subscribe(r.Open(s, fanout.ProtocolJSON), stateTopic(1))
			for i := range second {
				r.publish(stateTopic(1), fmt.Sprintf("%d,", i))
			}
			synctest.Wait()
			want(t, len(s.lines()), second)
			for i := range 5 {
				r.publish(stateTopic(1), fmt.Sprintf("a,%d", i))
				r.publish(stateTopic(1), fmt.Sprintf("b,%d", i))
			}
			synctest.Wait()
			want(t, s.lines(), []string(nil))
			want(t, r.metric(t, "rte_fanout_quota_events_held", ""), 2.0)
			want(t, r.metric(t, "rte_fanout_quota_events_total", "held"), 2.0)
			want(t, r.metric(t, "rte_fanout_quota_events_total", "superseded"), 8.0)

			time.Sleep(time.Second / second)
			synctest.Wait()
			want(t, s.lines(), []string{line(id, 1, "a,4")})
			r.publish(stateTopic(1), "b,5") // still the place of b
			time.Sleep(time.Second / second)
			synctest.Wait()
			want(t, s.lines(), []string{line(id, 1, "b,5")})
			want(t, r.metric(t, "rte_fanout_quota_events_held", ""), 0.0)
			time.Sleep(time.Second)
			r.publish(stateTopic(1), "b,6")
			synctest.Wait()
			want(t, s.lines(), []string{line(id, 1, "b,6")})
		})
	})
	t.Run("keeps what its caller changes", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1, Flow: fanout.FlowOptions{Quota: second}}, func(t *testing.T, r *rig) {
			s := newSocket()
			_, id := r.subscribe(r.Open(s, fanout.ProtocolJSON), stateTopic(1))
			for range second {
				r.publish(stateTopic(1), "a,")
			}
			var ev events.Event // a worker has one for all messages
			for _, data := range []string{"a,old", "b,only", "a,new"} {
				ev = events.Event{Topic: stateTopic(1), Data: []byte(data)}
				r.Dispatch(&ev)
			}
			synctest.Wait()
			want(t, len(s.lines()), second)
			ev = events.Event{Topic: stateTopic(2), Data: []byte("c,of another topic")}
			time.Sleep(time.Second)
			synctest.Wait()
			want(t, s.lines(), []string{line(id, 1, "a,new"), line(id, 1, "b,only")})
		})
	})
	t.Run("delays calls and loses none", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1, Flow: fanout.FlowOptions{Quota: second}}, func(t *testing.T, r *rig) {
			s := newSocket()
			_, id := r.subscribe(r.Open(s, fanout.ProtocolJSON), callTopic(1))
			start := time.Now()
			var lines []string
			for i := range 3 * second {
				r.publish(callTopic(1), fmt.Sprint(i))
				lines = append(lines, line(id, 1, fmt.Sprint(i)))
			}
			want(t, time.Since(start), 2*time.Second)
			synctest.Wait()
			want(t, s.lines(), lines)
			want(t, r.metric(t, "rte_fanout_quota_events_total", "paced"), 2.0*second)
		})
	})
	t.Run("applies to each organization", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1, Flow: fanout.FlowOptions{Quota: second}}, func(t *testing.T, r *rig) {
			s := newSocket()
			o := r.Open(s, fanout.ProtocolJSON)
			r.subscribe(o, callTopic(1))
			_, id := r.subscribe(o, ofOther)
			call := func() bool { return r.Offer(&events.Event{Topic: callTopic(1), Data: []byte("x")}) }
			for range second {
				want(t, call(), true)
			}
			want(t, call(), false)
			want(t, r.Offer(&events.Event{Topic: ofOther, Data: []byte("ring")}), true)
			synctest.Wait()
			lines := s.lines()
			want(t, lines[len(lines)-1], line(id, 1, "ring"))
			want(t, len(lines), second+1)
		})
	})
	t.Run("counts only events with subscribers", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1, Flow: fanout.FlowOptions{Quota: second}}, func(t *testing.T, r *rig) {
			s := newSocket()
			r.subscribe(r.Open(s, fanout.ProtocolJSON), callTopic(1))
			for range 10 * second {
				r.publish(callTopic(2), "x")
			}
			want(t, r.Offer(&events.Event{Topic: callTopic(1), Data: []byte("x")}), true)
		})
	})
	t.Run("bounds the states that are held back", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1, Flow: fanout.FlowOptions{Quota: second}}, func(t *testing.T, r *rig) {
			r.subscribe(r.Open(newSocket(), fanout.ProtocolJSON), stateTopic(1))
			taken := 0
			for r.Offer(&events.Event{Topic: stateTopic(1), Data: fmt.Append(nil, taken, ",")}) {
				taken++
			}
			want(t, taken, second+4096)
			time.Sleep(1000 * time.Second) // all of them go out
			synctest.Wait()
			want(t, r.metric(t, "rte_fanout_quota_events_held", ""), 0.0)
		})
	})
}

// Offer leaves an event that would wait to the caller, who can serve other organizations meanwhile.
func TestOffer_refusesInsteadOfWaiting(t *testing.T) {
	run(t, fanout.Options{Shards: 1, Flow: fanout.FlowOptions{Backlog: 4}}, func(t *testing.T, r *rig) {
		other := events.Topic{Organization: events.ID{9}, Entity: events.ID{1}, Type: 1}
		s := newSocket()
		o := r.Open(s, fanout.ProtocolJSON)
		r.subscribe(o, callTopic(1))
		_, id := r.subscribe(o, other)
		synctest.Wait()
		release := s.hold() // the shard is busy with one write
		taken := 0
		for r.Offer(&events.Event{Topic: callTopic(1), Data: []byte("x")}) {
			taken++
		}
		want(t, taken, 5)
		want(t, r.Offer(&events.Event{Topic: other, Data: []byte("ring")}), true)
		want(t, r.Offer(&events.Event{Topic: callTopic(2), Data: []byte("no subscribers")}), true)
		release()
		synctest.Wait()
		lines := s.lines()
		want(t, lines[len(lines)-1], line(id, 1, "ring"))
		want(t, len(lines), taken+1)
	})
}

// There is room for four events of a topic however small the backlog: writes with fewer cost several times as much.
func TestOffer_alwaysHasRoomForFourEvents(t *testing.T) {
	run(t, fanout.Options{Shards: 1, Flow: fanout.FlowOptions{Backlog: 4}}, func(t *testing.T, r *rig) {
		s := newSocket()
		for range 3 {
			r.subscribe(r.Open(s, fanout.ProtocolJSON), callTopic(1))
		}
		synctest.Wait()
		release := s.hold()
		defer release()
		taken := 0
		for r.Offer(&events.Event{Topic: callTopic(1), Data: []byte("x")}) {
			taken++
		}
		want(t, taken, 5) // four wait when the fifth is offered
	})
}

// A reload of the configuration replaces the quota, also for what it holds back.
func TestSetQuota_appliesAtOnce(t *testing.T) {
	run(t, fanout.Options{Shards: 1, Flow: fanout.FlowOptions{Quota: 1}}, func(t *testing.T, r *rig) {
		s := newSocket()
		_, id := r.subscribe(r.Open(s, fanout.ProtocolJSON), stateTopic(1))
		synctest.Wait()
		var lines []string
		publish := func(states ...string) {
			for _, data := range states {
				r.publish(stateTopic(1), data)
				lines = append(lines, line(id, 1, data))
			}
			synctest.Wait()
		}
		publish("a,1", "b,1", "c,1")
		want(t, s.lines(), lines[:1])
		r.SetQuota(0)
		synctest.Wait()
		want(t, s.lines(), lines[1:])
		want(t, r.metric(t, "rte_fanout_quota_events_held", ""), 0.0)

		lines = nil
		publish("a,2", "b,2", "c,2")
		want(t, s.lines(), lines)
		r.SetQuota(2)
		time.Sleep(10 * time.Second)
		lines = nil
		publish("a,3", "b,3", "c,3", "d,3")
		want(t, s.lines(), lines[:2])
		time.Sleep(1200 * time.Millisecond)
		want(t, s.lines(), lines[2:])
	})
}

// After a reload without a quota, states that were held back go out before newer ones, or newer ones replace them.
func TestSetQuota_keepsTheOrderOfStates(t *testing.T) {
	run(t, fanout.Options{Shards: 1, Flow: fanout.FlowOptions{Quota: 1}}, func(t *testing.T, r *rig) {
		s := newSocket()
		_, id := r.subscribe(r.Open(s, fanout.ProtocolJSON), stateTopic(1))
		synctest.Wait()
		for _, data := range []string{"a,1", "b,1", "c,1"} {
			r.publish(stateTopic(1), data)
		}
		synctest.Wait()
		r.SetQuota(0)
		r.publish(stateTopic(1), "c,2") // the states of before are still held back
		synctest.Wait()
		lines := s.lines()
		want(t, lines[len(lines)-1], line(id, 1, "c,2"))
	})
}
