package fanout_test

import (
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
)

// ages returns a histogram: its count and its sum.
func (r *rig) ages(t *testing.T, name string) (count uint64, sum time.Duration) {
	t.Helper()
	families, err := r.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			h := f.GetMetric()[0].GetHistogram()
			return h.GetSampleCount(), time.Duration(h.GetSampleSum() * float64(time.Second)).Round(time.Microsecond)
		}
	}
	t.Fatalf("no metric %s", name)
	return 0, 0
}

// TestDispatch_measuresAges has one event written at once, and events of two topics collected behind a write that takes
// its time, so that each event counts once and until its last write.
func TestDispatch_measuresAges(t *testing.T) {
	run(t, fanout.Options{Shards: 1, Types: []string{"Call", "State"}}, func(t *testing.T, r *rig) {
		expect := func(name string, count uint64, sum time.Duration) {
			t.Helper()
			synctest.Wait()
			if n, got := r.ages(t, name); n != count || got != sum {
				t.Errorf("%s: %d ages of %s, want %d of %s", name, n, got, count, sum)
			}
		}
		for range 3 {
			s := newSocket()
			s.takes = 10 * time.Millisecond
			o := r.Open(s, fanout.ProtocolJSON)
			r.subscribe(o, callTopic(1))
			r.subscribe(o, callTopic(2))
		}
		synctest.Wait()
		now := time.Now()
		r.Dispatch(&events.Event{
			Topic: callTopic(1), Data: []byte("a"), Timestamp: now.Add(-2 * time.Second), Arrived: now.Add(-time.Second),
		})
		time.Sleep(time.Second)
		expect("rte_fanout_event_delay_seconds", 1, 1030*time.Millisecond)
		expect("rte_fanout_event_age_seconds", 1, 2030*time.Millisecond)

		// The write of the first takes 30 ms; the other two are then collected and written together, in another 30.
		r.publish(callTopic(1), "b")
		synctest.Wait()
		r.publish(callTopic(2), "c")
		r.publish(callTopic(1), "d")
		time.Sleep(time.Second)
		expect("rte_fanout_event_delay_seconds", 4, 1030*time.Millisecond+30*time.Millisecond+2*60*time.Millisecond)
		expect("rte_fanout_event_age_seconds", 1, 2030*time.Millisecond)

		r.Dispatch(&events.Event{Topic: callTopic(1), Data: []byte("e"), Timestamp: time.Now().Add(time.Minute)})
		r.Dispatch(&events.Event{Topic: callTopic(3), Data: []byte("f"), Timestamp: time.Now()}) // without a subscriber
		time.Sleep(time.Second)
		expect("rte_fanout_event_age_seconds", 1, 2030*time.Millisecond)
		want(t, r.metric(t, "rte_fanout_event_timestamps_ahead_total", ""), 1.0)
		want(t, r.count(t, "rte_fanout_events_by_type_total", "Call", "heard"), 5.0)
		want(t, r.count(t, "rte_fanout_events_by_type_total", "Call", "unheard"), 1.0)
	})
}

// count returns the value of a counter with two labels, in the order of their names.
func (r *rig) count(t *testing.T, name, second, first string) float64 {
	t.Helper()
	families, err := r.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if labels := m.GetLabel(); f.GetName() == name && value(labels, 0) == first && value(labels, 1) == second {
				return m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("no metric %s of %s and %s", name, first, second)
	return 0
}

func value(labels []*dto.LabelPair, i int) string {
	if i < len(labels) {
		return labels[i].GetValue()
	}
	return ""
}

// TestOutboxes_countBySize fills outboxes behind full sockets and empties them again.
func TestOutboxes_countBySize(t *testing.T) {
	run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
		small, _, _, _ := r.full(callTopic(1), "a")
		large, _, _, _ := r.full(callTopic(2), "b")
		for range 100 {
			r.publish(callTopic(2), string(make([]byte, 200)))
		}
		synctest.Wait()
		want(t, r.metric(t, "rte_fanout_outboxes_waiting", "4096"), 1.0)
		want(t, r.metric(t, "rte_fanout_outboxes_waiting", "65536"), 2.0)
		want(t, r.metric(t, "rte_fanout_outboxes_waiting", "+Inf"), 2.0)
		small.freeze(-1)
		large.freeze(-1)
		synctest.Wait()
		want(t, r.metric(t, "rte_fanout_outboxes_waiting", "+Inf"), 0.0)
	})
}
