package runner

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/rte-server/rte-server/bench/event"
	"github.com/rte-server/rte-server/bench/load"
	"github.com/rte-server/rte-server/bench/peer"
	"github.com/rte-server/rte-server/bench/scenarios"
)

// pause is the pause of a stream without an event that is due.
const pause = 200 * time.Microsecond

// stream publishes to its topics one after the other.
type stream struct {
	plan        scenarios.Stream
	rate        float64 // events per second
	clock       load.Clock
	publisher   peer.Publisher
	templates   []*event.Template // of its topics
	subscribers []int             // of its topics: connections that read them
	groups      []*load.Group     // those connections
	numbers     []atomic.Uint32   // of all topics of the scenario: events so far
	random      *rand.Rand

	published atomic.Uint64
	expected  atomic.Uint64 // deliveries of the published events
	next      int           // topic
	due       int64         // time of the next event
	waits     waits
	buffer    []byte
	events    []peer.Event
}

// run publishes until ctx ends. Only kill interrupts requests that are under way.
func (s *stream) run(ctx, kill context.Context) error {
	defer func() { _ = s.publisher.Close() }()
	s.due = s.clock.Now()
	s.waits = waits{counted: s.count(), since: s.due}
	for ctx.Err() == nil {
		n := s.ready()
		if n == 0 {
			time.Sleep(pause)
			continue
		}
		if err := s.publish(kill, n); err != nil {
			if kill.Err() != nil {
				return nil
			}
			return fmt.Errorf("publish: %w", err)
		}
	}
	return nil
}

// ready returns how many events may be published now, up to a batch.
func (s *stream) ready() int {
	batch := max(s.plan.Batch, 1)
	if s.plan.Pace == scenarios.Window {
		if s.waits.outstanding(s.expected.Load(), s.count(), s.clock.Now()) >= s.plan.Window*s.subscribers[s.next] {
			return 0
		}
		return batch
	}
	now := s.clock.Now()
	n := 0
	for ; n < batch && s.due <= now; n++ {
		gap := 1 / s.rate
		if s.plan.Pace == scenarios.Poisson {
			gap *= s.random.ExpFloat64()
		}
		s.due += int64(gap * float64(time.Second))
	}
	return n
}

// publish sends the next n events.
func (s *stream) publish(ctx context.Context, n int) error {
	s.events, s.buffer = s.events[:0], s.buffer[:0]
	at, wall := s.clock.Now(), time.Now()
	var expected uint64
	for range n {
		t := s.templates[s.next]
		topic := t.Topic()
		start := len(s.buffer)
		s.buffer = t.Append(s.buffer, s.numbers[topic.Number].Add(1), at, wall)
		// The payload stays in its old array if the buffer moves while it grows.
		s.events = append(s.events, peer.Event{Topic: topic, Payload: s.buffer[start:]})
		expected += uint64(s.subscribers[s.next]) //nolint:gosec // not negative
		s.next = (s.next + 1) % len(s.templates)
	}
	s.published.Add(uint64(n)) //nolint:gosec // not negative
	s.expected.Add(expected)
	return s.publisher.Publish(ctx, s.events)
}

// count returns the deliveries to the subscribed groups.
func (s *stream) count() uint64 {
	var n uint64
	for _, g := range s.groups {
		n += g.Delivered()
	}
	return n
}

// giveUp is the time without a delivery after which outstanding deliveries count as lost.
const giveUp = time.Second

// waits counts the deliveries on their way.
type waits struct {
	counted uint64 // all deliveries at the time since
	since   int64  // time of the last delivery
	arrived uint64 // deliveries of this stream that arrived or count as lost
}

// outstanding returns how many of the expected deliveries have not arrived. count is the total of the groups.
func (w *waits) outstanding(expected, count uint64, now int64) int {
	if count > w.counted {
		w.arrived += count - w.counted
		w.counted, w.since = count, now
	} else if now-w.since > int64(giveUp) {
		w.arrived, w.since = expected, now
	}
	return int(expected) - int(w.arrived) //nolint:gosec // a run delivers less than 2^63
}
