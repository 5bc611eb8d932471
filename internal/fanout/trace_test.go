package fanout_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/tap"
	"github.com/rte-server/rte-server/internal/trace"
)

func newTrace() *trace.Log { return trace.New(trace.Options{Bytes: 1 << 20, Entries: 1000}) }

// send dispatches an event with an id.
func (r *rig) send(topic events.Topic, id byte, data string, ttl int) {
	r.Dispatch(&events.Event{
		Topic: topic, ID: events.ID{id}, Data: []byte(data), Timestamp: time.Now(), TTLSeconds: ttl,
	})
}

// traced returns what the log has: "1 matched 2" for event 1 with 2 subscribers, "1>2 conflated" where 2 replaced 1 in
// an outbox, and "3* failed" for three events of an outbox that are not known.
func traced(log *trace.Log) (lines []string) {
	for _, r := range log.Events(func(*trace.Record) bool { return true }, 100) {
		lines = append(lines, fmt.Sprintf("%d %s %d", r.ID[0], r.Outcome, r.Count))
	}
	for _, a := range log.Asides(func(*trace.Aside) bool { return true }, 100) {
		switch {
		case a.Event == events.ID{}:
			lines = append(lines, fmt.Sprintf("%d* %s", a.Count, a.What))
		case a.By == events.ID{}:
			lines = append(lines, fmt.Sprintf("%d %s", a.Event[0], a.What))
		default:
			lines = append(lines, fmt.Sprintf("%d>%d %s", a.Event[0], a.By[0], a.What))
		}
	}
	slices.Sort(lines)
	return lines
}

// tapped returns the events of which a tap has a copy, as traced does.
func tapped(watching *tap.Tap) (lines []string) {
	copies, _ := watching.Take()
	for _, c := range copies {
		lines = append(lines, fmt.Sprintf("%d %s %d", c.ID[0], c.Outcome, c.Subscribers))
	}
	slices.Sort(lines)
	return lines
}

// Dispatch read the clock for each event, which doubled the time for those without subscribers.
func TestDispatcher_recordsTheArrivalOfEventsWithoutSubscribers(t *testing.T) {
	o := fanout.Options{Trace: newTrace()}
	run(t, o, func(_ *testing.T, r *rig) {
		arrived := time.Now().Add(-time.Second).Truncate(time.Microsecond)
		r.Dispatch(&events.Event{Topic: callTopic(1), ID: events.ID{1}, Arrived: arrived})
		for _, record := range o.Trace.Events(func(*trace.Record) bool { return true }, 1) {
			want(t, record.At(), arrived)
		}
		want(t, traced(o.Trace), []string{"1 no_subscribers 0"})
	})
}

func TestDispatcher_recordsWhatIsNotPlainlySent(t *testing.T) {
	for name, test := range map[string]struct {
		options fanout.Options
		do      func(r *rig, s *socket, o *fanout.Outbox, e *fanout.Entry)
		want    []string
	}{
		"sent needs no record of its own": {
			do:   func(r *rig, s *socket, _ *fanout.Outbox, _ *fanout.Entry) { s.freeze(-1) },
			want: []string{"1 matched 1"},
		},
		"no subscribers": {
			do:   func(r *rig, _ *socket, _ *fanout.Outbox, _ *fanout.Entry) { r.send(callTopic(9), 2, "x", 0) },
			want: []string{"1 matched 1", "2 no_subscribers 0"},
		},
		"expired before": {
			do: func(r *rig, _ *socket, _ *fanout.Outbox, _ *fanout.Entry) {
				r.Dispatch(&events.Event{Topic: stateTopic(1), ID: events.ID{2}, Timestamp: time.Unix(1, 0), TTLSeconds: 1})
			},
			want: []string{"1 matched 1", "2 expired 1"},
		},
		"malformed": {
			do:   func(r *rig, _ *socket, _ *fanout.Outbox, _ *fanout.Entry) { r.send(stateTopic(1), 2, "malformed", 0) },
			want: []string{"1 matched 1", "2 malformed 1"},
		},
		"conflated": {
			do: func(r *rig, s *socket, _ *fanout.Outbox, _ *fanout.Entry) {
				r.send(stateTopic(1), 2, "a,1", 0)
				r.send(stateTopic(1), 3, "a,2", 0)
				synctest.Wait()
				s.freeze(-1)
			},
			want: []string{"1 matched 1", "2 matched 1", "2>3 conflated", "3 matched 1"},
		},
		"expired while the socket was full": {
			do: func(r *rig, s *socket, _ *fanout.Outbox, _ *fanout.Entry) {
				r.send(stateTopic(1), 2, "a,1", 3)
				time.Sleep(5 * time.Second)
				s.freeze(-1)
			},
			want: []string{"1 matched 1", "2 expired", "2 matched 1"},
		},
		"slow": {
			options: fanout.Options{Outbox: fanout.OutboxOptions{Bytes: 2000}},
			do: func(r *rig, s *socket, _ *fanout.Outbox, _ *fanout.Entry) {
				r.send(stateTopic(1), 2, "a,1", 0)
				r.send(stateTopic(1), 3, "b"+strings.Repeat("x", 2000), 0)
				synctest.Wait()
				s.freeze(-1)
			},
			want: []string{"1 matched 1", "1* ended_slow", "2 matched 1", "2 slow", "3 matched 1", "3 slow"},
		},
		"closed": {
			do: func(r *rig, s *socket, o *fanout.Outbox, e *fanout.Entry) {
				r.send(stateTopic(1), 2, "a,1", 0)
				synctest.Wait()
				o.Close(nil, []*fanout.Entry{e})
				synctest.Wait()
				s.freeze(-1)
			},
			want: []string{"1 matched 1", "2 closed", "2 matched 1"},
		},
		"failed": {
			do: func(r *rig, s *socket, _ *fanout.Outbox, _ *fanout.Entry) {
				r.send(stateTopic(1), 2, "a,1", 0)
				synctest.Wait()
				s.fail()
			},
			want: []string{"1 matched 1", "1* ended_failed", "1* failed", "2 failed", "2 matched 1"},
		},
		"silent": {
			do: func(r *rig, s *socket, _ *fanout.Outbox, _ *fanout.Entry) {
				s.freeze(-1)
				silent := newSocket()
				silent.silent = true
				r.Open(silent, fanout.ProtocolJSON)
				time.Sleep(20 * time.Second)
			},
			want: []string{"1 matched 1", "1* ended_silent"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			log := newTrace()
			test.options.Trace, test.options.Shards = log, 1
			test.options.Taps = tap.New(tap.Options{Max: 1, Rate: 100, Bytes: 1 << 20})
			watching, err := test.options.Taps.Open(tap.Filter{})
			if err != nil {
				t.Fatal(err)
			}
			defer watching.Close()
			run(t, test.options, func(t *testing.T, r *rig) {
				s := newSocket()
				o := r.Open(s, fanout.ProtocolJSON)
				e, _ := r.subscribe(o, stateTopic(1))
				synctest.Wait()
				s.freeze(0)
				r.send(stateTopic(1), 1, "fills the socket", 0)
				synctest.Wait()
				test.do(r, s, o, e)
				synctest.Wait()
				want(t, traced(log), test.want)
				want(t, tapped(watching), slices.DeleteFunc(slices.Clone(test.want), func(line string) bool {
					return strings.Count(line, " ") < 2 // what happened in an outbox
				}))
				s.freeze(-1)
			})
		})
	}
}

func TestDispatcher_recordsWhatAQuotaDoes(t *testing.T) {
	log := newTrace()
	run(t, fanout.Options{Shards: 1, Flow: fanout.FlowOptions{Quota: 1}, Trace: log}, func(t *testing.T, r *rig) {
		r.subscribe(r.Open(newSocket(), fanout.ProtocolJSON), stateTopic(1))
		synctest.Wait()
		for id := byte(1); id <= 3; id++ {
			r.send(stateTopic(1), id, "a,1", 0)
		}
		time.Sleep(5 * time.Second)
		want(t, traced(log), []string{"1 matched 1", "2 held 0", "2>3 superseded", "3 matched 1"})
	})
	for name, test := range map[string]struct {
		ttl, subscriptions int
		metric, outcome    string
	}{
		"a state that has expired when there is room for it":                {1, 1, "expired", "2 expired 1"},
		"a state that has no subscriber any more when there is room for it": {0, 0, "unheard", "2 no_subscribers 0"},
	} {
		t.Run(name, func(t *testing.T) {
			log := newTrace()
			run(t, fanout.Options{Shards: 1, Flow: fanout.FlowOptions{Quota: 1}, Trace: log}, func(t *testing.T, r *rig) {
				s := newSocket()
				o := r.Open(s, fanout.ProtocolJSON)
				e, id := r.subscribe(o, stateTopic(1))
				r.subscribe(o, stateTopic(2))
				synctest.Wait()
				for _, key := range []string{"a,1", "b,1", "c,1"} {
					r.send(stateTopic(2), 1, key, 0) // takes the room of the next seconds
				}
				r.send(stateTopic(1), 2, "a,1", test.ttl)
				if test.subscriptions == 0 {
					o.Apply(fanout.Change{Remove: []*fanout.Entry{e}})
				}
				time.Sleep(10 * time.Second)
				synctest.Wait()
				want(t, r.metric(t, "rte_fanout_events_total", test.metric), 1.0)
				want(t, slices.Contains(traced(log), test.outcome), true)
				want(t, s.contains(id.String()), false)
			})
		})
	}
}

// TestDispatch_recordsWithoutAllocations is the price of the trace for the events of a node.
func TestDispatch_recordsWithoutAllocations(t *testing.T) {
	r := newRig(t, fanout.Options{Trace: newTrace()})
	ev := &events.Event{Topic: callTopic(1), ID: events.ID{1}, Timestamp: time.Now()}
	if allocs := testing.AllocsPerRun(1000, func() { r.Dispatch(ev) }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// BenchmarkDispatch_traced compares dispatching with and without records. Compare the CPU time of interleaved runs.
func BenchmarkDispatch_traced(b *testing.B) {
	for name, log := range map[string]*trace.Log{
		"off": nil, "on": trace.New(trace.Options{Bytes: 16 << 20, Entries: 100_000}),
	} {
		for _, clients := range []int{1, 20, 1000} {
			b.Run(fmt.Sprintf("%s/%dSubs", name, clients), func(b *testing.B) {
				c := newTracedCrowd(b, clients, 1, log, fanout.ProtocolJSON)
				b.ReportAllocs()
				b.ResetTimer()
				for n := range b.N {
					c.publish(n)
				}
				c.flush()
			})
		}
	}
}
