package backplanetest

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// waitLimit is how long a Recorder waits for an event that must arrive.
const waitLimit = time.Minute

// Arrival is an event that a Recorder received.
type Arrival struct {
	events.Topic
	ID     events.ID
	Number int // -1: the event has none
	Data   string
}

// Recorder is a Sink that records all events.
type Recorder struct {
	mu       sync.Mutex
	arrivals []Arrival     // guarded by mu
	kept     [][]byte      // guarded by mu; the data of arrivals, which a Sink may keep
	arrived  chan struct{} // guarded by mu; closed at the next arrival
}

// NewRecorder returns a Recorder without events.
func NewRecorder() *Recorder { return &Recorder{arrived: make(chan struct{})} }

// Wants returns true.
func (r *Recorder) Wants(events.Topic) bool { return true }

// Offer records an event and returns true.
func (r *Recorder) Offer(ev *events.Event) bool {
	r.Dispatch(ev)
	return true
}

// Dispatch records an event.
func (r *Recorder) Dispatch(ev *events.Event) {
	a := Arrival{Topic: ev.Topic, ID: ev.ID, Number: Number(ev.Data), Data: string(ev.Data)}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.arrivals, r.kept = append(r.arrivals, a), append(r.kept, ev.Data)
	close(r.arrived)
	r.arrived = make(chan struct{})
}

// Number returns the number in the JSON of an Event, -1 if it has none.
func Number(data []byte) int {
	if _, rest, ok := bytes.Cut(data, []byte(`"Number":`)); ok {
		digits, _, _ := bytes.Cut(rest, []byte(","))
		if n, err := strconv.Atoi(string(digits)); err == nil {
			return n
		}
	}
	return -1
}

// Count returns the number of events that have arrived.
func (r *Recorder) Count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.arrivals)
}

// Arrivals returns the events that have arrived, in order.
func (r *Recorder) Arrivals() []Arrival {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.arrivals)
}

// Wait waits until n events have arrived. It fails t if more have arrived.
func (r *Recorder) Wait(t testing.TB, n int) []Arrival {
	t.Helper()
	got := r.until(t, fmt.Sprintf("%d events", n), func(all []Arrival) bool { return len(all) >= n })
	if len(got) > n {
		t.Fatalf("%d events arrived, want %d", len(got), n)
	}
	return got
}

// WaitTopic waits until n events of a topic have arrived, and any number of others.
func (r *Recorder) WaitTopic(t testing.TB, topic events.Topic, n int) {
	t.Helper()
	r.until(t, fmt.Sprintf("%d events of the topic", n), func(all []Arrival) bool {
		of := 0
		for i := range all {
			if all[i].Topic == topic {
				of++
			}
		}
		return of >= n
	})
}

func (r *Recorder) until(t testing.TB, what string, done func([]Arrival) bool) []Arrival {
	t.Helper()
	timeout := time.NewTimer(waitLimit)
	defer timeout.Stop()
	for {
		r.mu.Lock()
		if done(r.arrivals) {
			defer r.mu.Unlock()
			for i := range r.kept {
				if string(r.kept[i]) != r.arrivals[i].Data {
					t.Errorf("the data of an event has changed from %.200q to %.200q", r.arrivals[i].Data, r.kept[i])
				}
			}
			return slices.Clone(r.arrivals)
		}
		arrived := r.arrived
		r.mu.Unlock()
		select {
		case <-arrived:
		case <-timeout.C:
			t.Fatalf("waited for %s: %d events arrived", what, r.Count())
		}
	}
}
