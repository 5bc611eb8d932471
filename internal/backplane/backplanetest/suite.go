// Package backplanetest has the suite that every backplane must pass, and its test helpers.
package backplanetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

// Start returns a connected backplane that runs until the test ends. Backplanes that are started with the same world
// are nodes of one deployment.
type Start func(t *testing.T, world string, o backplane.Options) backplane.Backplane

// Test runs the suite. nodes is the number of nodes that a deployment of this backplane can have.
func Test(t *testing.T, nodes int, start Start) {
	for _, layout := range []backplane.Layout{{}, {Lanes: 4}} {
		t.Run(fmt.Sprintf("lanes=%d", max(1, layout.Lanes)), func(t *testing.T) {
			s := &suite{nodes: nodes, layout: layout, start: start}
			t.Run("Delivers", s.delivers)
			t.Run("InOrder", s.inOrder)
			t.Run("AcquireIsCounted", s.acquireIsCounted)
			t.Run("NothingAfterRelease", s.nothingAfterRelease)
			t.Run("AcquiredMeansDelivered", s.acquiredMeansDelivered)
			t.Run("RefusesMalformed", s.refusesMalformed)
			t.Run("Batches", s.batches)
			t.Run("Receipts", s.receipts)
			t.Run("OtherOrganizationsAreQuiet", s.otherOrganizationsAreQuiet)
			t.Run("Snapshot", s.snapshot)
			t.Run("SnapshotOfSeveralStates", s.snapshotOfSeveralStates)
			t.Run("SnapshotExpires", s.snapshotExpires)
			t.Run("SnapshotConnectsToLaterEvents", s.snapshotConnectsToLaterEvents)
		})
	}
}

type suite struct {
	nodes  int
	layout backplane.Layout
	start  Start
}

// node is a backplane with the events that it received.
type node struct {
	backplane.Backplane
	*Recorder
}

// deployment starts the nodes of a new world.
func (s *suite) deployment(t *testing.T) []node {
	t.Helper()
	world := events.NewID().String()
	var all []node
	for range s.nodes {
		r := NewRecorder()
		all = append(all, node{s.start(t, world, backplane.Options{
			Catalog: events.Builtin(), Sink: r, Layout: s.layout,
		}), r})
	}
	return all
}

func (s *suite) delivers(t *testing.T) {
	nodes := s.deployment(t)
	org := events.NewID()
	topic := Topic(org, events.NewID())
	for _, n := range nodes {
		MustAcquire(t, n, topic)
	}
	ev := NewEvent(topic, 7)
	MustPublish(t, nodes[0], ev)
	for _, n := range nodes {
		got := n.Wait(t, 1)[0]
		if got.Topic != topic || got.Number != 7 || got.Data != string(ev.JSON()) {
			t.Errorf("arrived %+v, published %+v", got, ev)
		}
	}
}

func (s *suite) inOrder(t *testing.T) {
	const publishers, each = 8, 200
	nodes := s.deployment(t)
	org := events.NewID()
	var topics []events.Topic
	for range publishers {
		topics = append(topics, Topic(org, events.NewID()))
	}
	for _, n := range nodes {
		MustAcquire(t, n, topics...)
	}
	var wg sync.WaitGroup
	for i, topic := range topics {
		wg.Go(func() {
			for number := range each {
				MustPublish(t, nodes[i%len(nodes)], NewEvent(topic, number))
			}
		})
	}
	wg.Wait()
	for _, n := range nodes {
		next := map[events.Topic]int{}
		for _, got := range n.Wait(t, publishers*each) {
			if got.Number != next[got.Topic] {
				t.Fatalf("event %d of a topic arrived, %d was next", got.Number, next[got.Topic])
			}
			next[got.Topic]++
		}
	}
}

func (s *suite) acquireIsCounted(t *testing.T) {
	n := s.deployment(t)[0]
	topic := Topic(events.NewID(), events.NewID())
	MustAcquire(t, n, topic)
	MustAcquire(t, n, topic, topic)
	n.Release([]events.Topic{topic, topic})
	MustPublish(t, n, NewEvent(topic, 1))
	n.Wait(t, 1)
	n.Release([]events.Topic{topic})
	MustAcquire(t, n, topic)
	MustPublish(t, n, NewEvent(topic, 2))
	n.Wait(t, 2)
}

func (s *suite) nothingAfterRelease(t *testing.T) {
	n := s.deployment(t)[0]
	topic, fence := Topic(events.NewID(), events.NewID()), Topic(events.NewID(), events.NewID())
	MustAcquire(t, n, topic, fence)
	n.Release([]events.Topic{topic})
	for round, deadline := 1, time.Now().Add(waitLimit); ; round++ {
		before := n.Count()
		MustPublish(t, n, NewEvent(topic, 0))
		MustPublish(t, n, NewEvent(fence, 0))
		n.WaitTopic(t, fence, round)
		if n.Count() == before+1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a released lane still receives")
		}
	}
}

// acquiredMeansDelivered acquires lanes and publishes to each of them at once.
func (s *suite) acquiredMeansDelivered(t *testing.T) {
	const workers, rounds = 16, 25
	n := s.deployment(t)[0]
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for number := range rounds {
				topic := Topic(events.NewID(), events.NewID())
				if errs := n.Acquire(t.Context(), []events.Topic{topic}); errs != nil {
					t.Errorf("acquire: %v", errs)
					return
				}
				MustPublish(t, n, NewEvent(topic, number))
				if number%2 == 0 {
					defer n.Release([]events.Topic{topic})
				}
			}
		})
	}
	wg.Wait()
	n.Wait(t, workers*rounds)
}

func (s *suite) refusesMalformed(t *testing.T) {
	n := s.deployment(t)[0]
	for _, data := range []string{"", "{", "[]", `{"EventType":"UserStatus"}`} {
		if err := n.Publish(t.Context(), []byte(data)); !errors.Is(err, events.ErrMalformed) {
			t.Errorf("publish %q: %v, want ErrMalformed", data, err)
		}
	}
}

func (s *suite) otherOrganizationsAreQuiet(t *testing.T) {
	n := s.deployment(t)[0]
	mine, other := Topic(events.NewID(), events.NewID()), Topic(events.NewID(), events.NewID())
	MustAcquire(t, n, mine)
	MustPublish(t, n, NewEvent(other, 1))
	MustPublish(t, n, NewEvent(mine, 2))
	if got := n.Wait(t, 1)[0]; got.Topic != mine {
		t.Errorf("arrived %+v of an organization without subscribers", got)
	}
}

// MustAcquire acquires topics.
func MustAcquire(t testing.TB, b backplane.Backplane, topics ...events.Topic) {
	t.Helper()
	if err := errors.Join(b.Acquire(context.Background(), topics)...); err != nil {
		t.Fatalf("acquire: %v", err)
	}
}

// MustPublish publishes an event.
func MustPublish(t testing.TB, b backplane.Backplane, ev Event) {
	t.Helper()
	if err := b.Publish(context.Background(), ev.JSON()); err != nil {
		t.Errorf("publish: %v", err)
	}
}
