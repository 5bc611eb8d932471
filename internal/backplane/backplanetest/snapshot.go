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

// MustSnapshot returns the numbers of the states in a snapshot of topics, by topic.
func MustSnapshot(t testing.TB, b backplane.Backplane, topics ...events.Topic) map[events.Topic][]int {
	t.Helper()
	var mu sync.Mutex
	got := map[events.Topic][]int{}
	answered := 0
	err := b.Snapshot(context.Background(), topics, func(topics []events.Topic, last []*events.Event) {
		mu.Lock()
		defer mu.Unlock()
		answered += len(topics)
		for _, ev := range last {
			got[ev.Topic] = append(got[ev.Topic], Number(ev.Data))
		}
	})
	if err != nil || answered != len(topics) {
		t.Fatalf("snapshot of %d of %d topics: %v", answered, len(topics), err)
	}
	return got
}

// sameNumbers fails t if got are not the wanted numbers, in any order.
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
	sameNumbers(t, "the node that received them", got[with], 2)
	MustAcquire(t, last, with, without, step)
	// On a busy machine the answer of another node may come too late for one snapshot.
	for range 5 {
		if got = MustSnapshot(t, last.Backplane, with, without, step); len(got[with]) > 0 {
			break
		}
	}
	sameNumbers(t, "a node that subscribes later", got[with], 2)
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
	sameNumbers(t, "the node that received them", MustSnapshot(t, first.Backplane, topic)[topic], 1, 2)
	MustAcquire(t, last, topic)
	sameNumbers(t, "a node that subscribes later", MustSnapshot(t, last.Backplane, topic)[topic], 1, 2)
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
		sameNumbers(t, "after its lifetime", got[short])
		sameNumbers(t, "without a lifetime", got[forever])
	}
}

// snapshotConnectsToLaterEvents takes snapshots while events are published. The next event of a snapshot with a state
// is the one after that state; otherwise the next event continues the events before.
func (s *suite) snapshotConnectsToLaterEvents(t *testing.T) {
	const last, starts = 600, 60
	nodes := s.deployment(t)
	topic := Topic(events.NewID(), events.NewID())
	publisher, subscriber := nodes[0], nodes[len(nodes)-1]
	var published atomic.Int64
	MustPublish(t, publisher, NewEvent(topic, 0))
	var wg sync.WaitGroup
	wg.Go(func() {
		for number := 1; number < last; number++ {
			MustPublish(t, publisher, NewEvent(topic, number))
			published.Store(int64(number))
		}
	})
	type start struct{ after, number int } // number is that of the state; -1: the snapshot had none
	var begun []start
	for range starts {
		MustAcquire(t, subscriber, topic)
		err := subscriber.Backplane.Snapshot(t.Context(), []events.Topic{topic},
			func(_ []events.Topic, states []*events.Event) {
				at := start{after: subscriber.Count(), number: -1}
				for _, ev := range states {
					at.number = Number(ev.Data)
				}
				begun = append(begun, at)
			})
		if err != nil {
			t.Fatalf("snapshot: %v", err)
		}
		if len(begun)%3 == 0 {
			subscriber.Release([]events.Topic{topic}) // the lane may end
		} else {
			defer subscriber.Release([]events.Topic{topic})
		}
	}
	wg.Wait()
	MustAcquire(t, subscriber, topic)
	MustPublish(t, publisher, NewEvent(topic, last))
	all := subscriber.until(t, "the last event", func(all []Arrival) bool {
		return len(all) > 0 && all[len(all)-1].Number == last
	})
	for _, at := range begun {
		next := all[at.after].Number
		if at.number >= 0 && next != at.number+1 {
			t.Errorf("the snapshot had %d, event %d followed", at.number, next)
		}
		if at.number < 0 && at.after > 0 && next != all[at.after-1].Number+1 {
			t.Errorf("no snapshot, event %d followed %d", next, all[at.after-1].Number)
		}
	}
	// Whether one of the starts had a state depends on the machine. The last snapshot must have one.
	sameNumbers(t, "after the last event", MustSnapshot(t, subscriber.Backplane, topic)[topic], last)
}
