package fanout_test

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/trace"
)

// sink is a socket that takes all bytes and counts them.
type sink struct{ bytes *atomic.Int64 }

func (s sink) Lost()                  {}
func (s sink) Sequence(uint64) []byte { return nil }
func (sink) Warm()                    {}

func (s sink) TryWrite(p []byte) (int, error) {
	s.bytes.Add(int64(len(p)))
	return len(p), nil
}
func (s sink) WriteAll([]byte) error { return nil }
func (s sink) KeepAlive(time.Time) ([]byte, time.Duration, bool) {
	return nil, time.Hour, true
}
func (s sink) Final(fanout.EndReason) []byte { return nil }
func (s sink) Ended(fanout.EndReason)        {}
func (s sink) Owner() fanout.Owner           { return fanout.Owner{} }

// readyFrames returns the same frame of 1 KB for every event. The benchmarks measure what comes after the encoder.
type readyFrames struct{ frame fanout.Frame }

func (e readyFrames) Encode(*events.Event) (fanout.Frame, error) { return e.frame, nil }

var kilobyte = readyFrames{fanout.Frame{Bytes: []byte(strings.Repeat("x", 1024)), IDOffset: 60}}

// crowd is a running dispatcher with clients that all subscribe to all of its topics.
type crowd struct {
	*rig
	received    atomic.Int64
	topics      []events.Topic
	subscribers int64
	expected    int64
}

func newCrowd(tb testing.TB, clients, topics int) *crowd {
	tb.Helper()
	return newTracedCrowd(tb, clients, topics, nil, fanout.ProtocolJSON)
}

func newTracedCrowd(tb testing.TB, clients, topics int, log *trace.Log, protocol fanout.Protocol) *crowd {
	tb.Helper()
	r := newRig(tb, fanout.Options{})
	c := &crowd{rig: r, subscribers: int64(clients)}
	c.rig.Dispatcher = mustNew(tb, fanout.Options{JSON: kilobyte, Trace: log})
	ctx, stop := context.WithCancel(tb.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = c.Run(ctx) })
	tb.Cleanup(func() { stop(); running.Wait() })
	for n := range topics {
		c.topics = append(c.topics, events.Topic{Entity: events.ID{byte(n), byte(n >> 8), 1}, Type: 1})
	}
	for range clients {
		o := c.Open(sink{&c.received}, protocol)
		for _, topic := range c.topics {
			c.subscribe(o, topic)
		}
	}
	c.publish(0)
	c.flush()
	return c
}

func mustNew(tb testing.TB, o fanout.Options) *fanout.Dispatcher {
	tb.Helper()
	d, err := fanout.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func (c *crowd) publish(n int) {
	c.Dispatch(&events.Event{Topic: c.topics[n%len(c.topics)]})
	c.expected += c.subscribers * 1024
}

// flush waits until all published events have been written, so that a benchmark measures their whole cost.
func (c *crowd) flush() {
	for c.received.Load() < c.expected {
		runtime.Gosched()
	}
}

// TestDispatch_allocatesNothingPerSubscriber compares the allocations per event for one subscriber per shard and for
// 1,000 subscribers. An event costs its frame, its broadcast and a command per shard; a subscriber costs nothing.
func TestDispatch_allocatesNothingPerSubscriber(t *testing.T) {
	const tolerance = 0.5 // the runtime allocates now and then
	for name, topics := range map[string]int{"events of one topic": 1, "events of several topics": 8} {
		t.Run(name, func(t *testing.T) {
			perEvent := func(clients int) float64 {
				c := newCrowd(t, clients, topics)
				return testing.AllocsPerRun(200, func() {
					for n := range 8 {
						c.publish(n)
					}
					c.flush()
				}) / 8
			}
			shards := runtime.GOMAXPROCS(0)
			few, thousand := perEvent(shards), perEvent(1000)
			if thousand > few+tolerance {
				t.Errorf("%.2f allocations per event for 1,000 subscribers, %.2f for %d", thousand, few, shards)
			}
			if promised := 2 + float64(shards); few > promised+tolerance {
				t.Errorf("%.2f allocations per event, promised %v", few, promised)
			}
		})
	}
}

// Compressed frames go to subscribers as others do: without an allocation for each.
func TestDispatch_allocatesNothingPerSubscriberWithDeflate(t *testing.T) {
	perEvent := func(clients int) float64 {
		c := newTracedCrowd(t, clients, 1, nil, fanout.ProtocolJSON.Deflated())
		return testing.AllocsPerRun(200, func() {
			c.publish(0)
			c.flush()
		})
	}
	if few, thousand := perEvent(1), perEvent(1000); thousand > few+0.5+float64(runtime.GOMAXPROCS(0)-1) {
		t.Errorf("%.2f allocations per event for 1,000 subscribers, %.2f for one", thousand, few)
	}
}

func TestDispatch_allocatesNothingWithoutSubscribers(t *testing.T) {
	r := newRig(t, fanout.Options{})
	ev := &events.Event{Topic: callTopic(1)}
	if allocs := testing.AllocsPerRun(1000, func() { r.Dispatch(ev) }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func BenchmarkDispatch(b *testing.B) {
	for _, shape := range []struct {
		name            string
		clients, topics int
	}{{"1Sub", 1, 1}, {"1000Subs", 1000, 1}, {"1000Subs1000Topics", 1000, 1000}} {
		b.Run(shape.name, func(b *testing.B) {
			c := newCrowd(b, shape.clients, shape.topics)
			b.ReportAllocs()
			b.ResetTimer()
			for n := range b.N {
				c.publish(n)
			}
			c.flush()
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*shape.clients), "ns/delivery")
		})
	}
	b.Run("NoSubscribers", func(b *testing.B) {
		r := newRig(b, fanout.Options{})
		ev := &events.Event{Topic: callTopic(1)}
		b.ReportAllocs()
		for b.Loop() {
			r.Dispatch(ev)
		}
	})
}

// BenchmarkDispatch_parallel measures events of 64 organizations from publishers on all processors, each to 16
// subscribers. `make scaling` runs it.
func BenchmarkDispatch_parallel(b *testing.B) {
	const organizations, subscribers = 64, 16
	c := newCrowd(b, 0, 1)
	topics := make([]events.Topic, organizations)
	for n := range topics {
		topics[n] = events.Topic{Organization: events.ID{byte(n), 1}, Type: 1}
		for range subscribers {
			c.subscribe(c.Open(sink{&c.received}, fanout.ProtocolJSON), topics[n])
		}
	}
	var publishers atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for n := int(publishers.Add(1)) * 7; pb.Next(); n++ {
			c.Dispatch(&events.Event{Topic: topics[n%organizations]})
		}
	})
	c.expected += int64(b.N) * subscribers * 1024
	c.flush()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*subscribers), "ns/delivery")
}
