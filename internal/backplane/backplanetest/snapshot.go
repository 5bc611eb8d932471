package backplanetest

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

// MustSnapshot is what a backplane has of topics, as numbers by topic.
func MustSnapshot(t testing.TB, b backplane.Backplane, topics ...events.Topic) map[events.Topic][]int {
	t.Helper()
	var mu sync.Mutex
	got := map[events.Topic][]int{}
	asked := 0
	err := b.Snapshot(context.Background(), topics, func(topics []events.Topic, last []*events.Event) {
		mu.Lock()
		defer mu.Unlock()
		asked += len(topics)
		for _, ev := range last {
			got[ev.Topic] = append(got[ev.Topic], Number(ev.Data))
		}
	})
	if err != nil || asked != len(topics) {
		t.Fatalf("snapshot of %d of %d topics: %v", asked, len(topics), err)
	}
	return got
}

// sameNumbers compares without regard to order.
func sameNumbers(t testing.TB, what string, got []int, want ...int) {
	t.Helper()
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%s: snapshot is %v, want %v", what, got, want)
	}
}

func (s *suite) snapshot(t *testing.T) {
	nodes := s.deployment(t)
	org := events.NewID()
	with, without := Topic(org, events.NewID()), Topic(org, events.NewID())
	step := with
	step.Type = events.UserCallInComing
	first, last := nodes[0], nodes[len(nodes)-1]
	MustAcquire(t, first, with, without, step)
	for number := range 3 {
		MustPublish(t, first, NewEvent(with, number))
		MustPublish(t, first, NewEvent(step, number))
	}
	first.Wait(t, 6)
	got := MustSnapshot(t, first.Backplane, with, without, step)
	sameNumbers(t, "the node that heard it", got[with], 2)
	MustAcquire(t, last, with, without, step)
	got = MustSnapshot(t, last.Backplane, with, without, step)
	sameNumbers(t, "a node that begins to listen", got[with], 2)
	sameNumbers(t, "without events", got[without])
	sameNumbers(t, "no state", got[step])
}

func (s *suite) snapshotOfSeveralStates(t *testing.T) {
	nodes := s.deployment(t)
	topic := events.Topic{Organization: events.NewID(), Entity: events.NewID(), Type: events.CallbackChanged}
	first, last := nodes[0], nodes[len(nodes)-1]
	MustAcquire(t, first, topic)
	one, other := events.NewID(), events.NewID()
	for number, callback := range []events.ID{one, other, one} {
		ev := NewEvent(topic, number)
		ev.CallBack = callback
		MustPublish(t, first, ev)
	}
	first.Wait(t, 3)
	sameNumbers(t, "the node that heard it", MustSnapshot(t, first.Backplane, topic)[topic], 1, 2)
	MustAcquire(t, last, topic)
	sameNumbers(t, "a node that begins to listen", MustSnapshot(t, last.Backplane, topic)[topic], 1, 2)
}

func (s *suite) snapshotExpires(t *testing.T) {
	nodes := s.deployment(t)
	org := events.NewID()
	short, forever := Topic(org, events.NewID()), Topic(org, events.NewID())
	first, last := nodes[0], nodes[len(nodes)-1]
	MustAcquire(t, first, short, forever)
	ev := NewEvent(short, 1)
	ev.TTLSeconds = 1
	MustPublish(t, first, ev)
	ev = NewEvent(forever, 2)
	ev.TTLSeconds = -1
	MustPublish(t, first, ev)
	first.Wait(t, 2)
	sameNumbers(t, "at once", MustSnapshot(t, first.Backplane, short)[short], 1)
	time.Sleep(1100 * time.Millisecond) // Redis counts by its own clock
	MustAcquire(t, last, short, forever)
	for _, n := range []node{first, last} {
		got := MustSnapshot(t, n.Backplane, short, forever)
		sameNumbers(t, "after its time", got[short])
		sameNumbers(t, "without a time", got[forever])
	}
}

// snapshotFitsToWhatFollows begins to listen again and again while somebody publishes: with a snapshot, the event that
// follows it comes next; without, the first event is one that was on its way.
func (s *suite) snapshotFitsToWhatFollows(t *testing.T) {
	const last, listeners = 600, 60
	nodes := s.deployment(t)
	topic := Topic(events.NewID(), events.NewID())
	publisher, listener := nodes[0], nodes[len(nodes)-1]
	var published atomic.Int64
	MustPublish(t, publisher, NewEvent(topic, 0))
	var wg sync.WaitGroup
	wg.Go(func() {
		for number := 1; number < last; number++ {
			MustPublish(t, publisher, NewEvent(topic, number))
			published.Store(int64(number))
		}
	})
	type start struct{ after, number int } // number is what the snapshot had; -1: nothing
	var starts []start
	for range listeners {
		MustAcquire(t, listener, topic)
		err := listener.Backplane.Snapshot(t.Context(), []events.Topic{topic},
			func(_ []events.Topic, states []*events.Event) {
				at := start{after: listener.Count(), number: -1}
				for _, ev := range states {
					at.number = Number(ev.Data)
				}
				starts = append(starts, at)
			})
		if err != nil {
			t.Fatalf("snapshot: %v", err)
		}
		if len(starts)%3 == 0 {
			listener.Release([]events.Topic{topic}) // and perhaps the lane ends
		} else {
			defer listener.Release([]events.Topic{topic})
		}
	}
	wg.Wait()
	MustAcquire(t, listener, topic)
	MustPublish(t, publisher, NewEvent(topic, last))
	all := listener.until(t, "the last event", func(all []Arrival) bool {
		return len(all) > 0 && all[len(all)-1].Number == last
	})
	for _, at := range starts {
		next := all[at.after].Number
		if at.number >= 0 && next != at.number+1 {
			t.Errorf("the snapshot had %d, event %d followed", at.number, next)
		}
		if at.number < 0 && at.after > 0 && next != all[at.after-1].Number+1 {
			t.Errorf("no snapshot, event %d followed %d", next, all[at.after-1].Number)
		}
	}
	// Whether one of those had a snapshot is up to the machine; what comes after the last event has one.
	sameNumbers(t, "after the last event", MustSnapshot(t, listener.Backplane, topic)[topic], last)
}
