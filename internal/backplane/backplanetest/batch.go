package backplanetest

import (
	"errors"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// batches publishes many events in one call, some of them malformed.
func (s *suite) batches(t *testing.T) {
	nodes := s.deployment(t)
	receiver, publisher := nodes[0], nodes[len(nodes)-1]
	org := events.NewID()
	var topics []events.Topic
	for range 10 {
		topics = append(topics, Topic(org, events.NewID()))
	}
	MustAcquire(t, receiver, topics...)
	const count = 1000
	var batch [][]byte
	for i := range count {
		batch = append(batch, NewEvent(topics[i%len(topics)], i).JSON())
	}
	if errs := publisher.PublishBatch(t.Context(), batch); errs != nil {
		t.Fatalf("publish: %v", errors.Join(errs...))
	}
	for _, data := range batch {
		clear(data) // the batch belongs to the caller again
	}
	last := map[events.ID]int{}
	for _, ev := range receiver.Wait(t, count) {
		if before, ok := last[ev.Entity]; ok && ev.Number != before+len(topics) {
			t.Fatalf("%d came behind %d", ev.Number, before)
		}
		last[ev.Entity] = ev.Number
	}

	errs := publisher.PublishBatch(t.Context(), [][]byte{
		NewEvent(topics[0], count).JSON(), []byte(`{"EventType":"UserStatus"}`), NewEvent(topics[0], count+1).JSON(), {},
	})
	if len(errs) != 4 || errs[0] != nil || !errors.Is(errs[1], events.ErrMalformed) ||
		errs[2] != nil || !errors.Is(errs[3], events.ErrMalformed) {
		t.Errorf("publish: %v", errs)
	}
	receiver.Wait(t, count+2)
	if errs := publisher.PublishBatch(t.Context(), nil); errs != nil {
		t.Errorf("nothing published: %v", errs)
	}
}

// receipts checks that nodes share the outcome of requests.
func (s *suite) receipts(t *testing.T) {
	nodes := s.deployment(t)
	one, another := nodes[0], nodes[len(nodes)-1]
	key := events.NewID().String()
	begin := func(n node, wantKnown string, wantRunning bool) {
		t.Helper()
		known, running, err := n.Begin(t.Context(), key, time.Minute)
		if known != wantKnown || running != wantRunning || err != nil {
			t.Fatalf("begin: %q %t %v, want %q %t", known, running, err, wantKnown, wantRunning)
		}
	}
	end := func(n node, text string, final bool, keep time.Duration) {
		t.Helper()
		if err := n.End(t.Context(), key, text, final, keep); err != nil {
			t.Fatalf("end: %v", err)
		}
	}
	begin(one, "", false)
	begin(another, "", true)
	end(one, "so far", false, time.Minute)
	begin(another, "so far", false)
	begin(one, "", true)
	end(another, "all", true, 200*time.Millisecond)
	begin(one, "all", false)
	begin(another, "all", false)
	for deadline := time.Now().Add(waitLimit); ; time.Sleep(5 * time.Millisecond) { // the receipt expires
		known, running, err := one.Begin(t.Context(), key, 100*time.Millisecond)
		if err == nil && known == "" && !running {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("still known: %q %t %v", known, running, err)
		}
	}
	for deadline := time.Now().Add(waitLimit); ; time.Sleep(5 * time.Millisecond) { // the lease of the first node ends
		if _, running, err := another.Begin(t.Context(), key, time.Minute); err == nil && !running {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the request stays running")
		}
	}
}
