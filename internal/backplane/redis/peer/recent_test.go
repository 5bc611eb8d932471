package peer

import (
	"encoding/binary"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

// An answer to another node has no gap, and all lanes together stay within their limit.
func TestRecent_answersWithoutGap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const limit = 100 << 10
		memory := backplane.SharedMemory{Bytes: limit}
		lanes := make([]struct {
			Recent
			all []events.ID
		}, 3)
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		for number := range rapid.IntRange(0, 500).Draw(t, "events") {
			l := &lanes[rapid.IntRange(0, 2).Draw(t, "lane")]
			var id events.ID
			binary.BigEndian.PutUint32(id[:], uint32(number)+1)
			data := make([]byte, rapid.SampledFrom([]int{4, 100, 1000, 70_000, 200_000}).Draw(t, "size"))
			copy(data, id[:4])
			now = now.Add(rapid.SampledFrom([]time.Duration{0, time.Millisecond, 20 * time.Second}).Draw(t, "pause"))
			l.Add(&events.Event{ID: id, Data: data}, now, &memory)
			l.all = append(l.all, id)
			if memory.Used() > limit {
				t.Fatalf("%d bytes are kept", memory.Used())
			}
			known := l.all[rapid.IntRange(0, len(l.all)-1).Draw(t, "known")]
			answer, ok := l.after(known)
			if !ok {
				if known == id {
					t.Fatal("the last event is not known")
				}
				continue
			}
			for i := len(l.all) - 1; l.all[i] != known; i-- {
				if n := len(answer); n == 0 || string(answer[n-1][:4]) != string(l.all[i][:4]) {
					t.Fatalf("the answer has a gap")
				}
				answer = answer[:len(answer)-1]
			}
			if len(answer) > 0 {
				t.Fatalf("%d events too many", len(answer))
			}
		}
		for i := range lanes {
			lanes[i].Clear(now, &memory)
		}
		if memory.Used() != 0 {
			t.Errorf("%d bytes are left", memory.Used())
		}
	})
}

// An event without an Id does not mark a place.
func TestRecent_zeroIsNotKnown(t *testing.T) {
	memory := backplane.SharedMemory{Bytes: 1 << 20}
	var r Recent
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for range 2 {
		r.Add(&events.Event{Data: []byte("{}")}, now, &memory)
	}
	if data, ok := r.Answer(&Query{Known: events.ID{}.String()}, nil); ok {
		t.Errorf("answered with %d events", len(data))
	}
}

// Blocks of a busy lane are used again.
func TestRecent_allocatesNothing(t *testing.T) {
	memory := backplane.SharedMemory{Bytes: 1 << 20}
	var r Recent
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ev := &events.Event{ID: events.NewID(), Data: make([]byte, 1000)}
	for range 10_000 {
		r.Add(ev, now, &memory)
	}
	if allocs := testing.AllocsPerRun(10_000, func() { r.Add(ev, now, &memory) }); allocs != 0 {
		t.Errorf("allocated %v times per event, want 0", allocs)
	}
}

// One organization filled the memory, and nodes could not get the missed events of any other one.
func TestRecent_sharesMemoryAmongOrganizations(t *testing.T) {
	memory := backplane.SharedMemory{Bytes: 1 << 20}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	event := func(organization byte, number int) *events.Event {
		ev := &events.Event{Topic: events.Topic{Organization: events.ID{organization}}, Data: make([]byte, 1000)}
		binary.BigEndian.PutUint32(ev.ID[:], uint32(number)+1)
		return ev
	}
	var noisy [4]Recent // lanes of one organization
	flood := func() {
		for n := range 2000 {
			noisy[n%len(noisy)].Add(event(1, n), now, &memory)
		}
	}
	flood()
	var quiet Recent
	for n := range 50 {
		quiet.Add(event(2, n), now, &memory)
		flood()
	}
	first := event(2, 0)
	if answer, ok := quiet.after(first.ID); !ok || len(answer) != 49 {
		t.Errorf("%d events of the quiet organization are kept, want 49", len(answer))
	}
	if used := memory.Used(); used > memory.Bytes {
		t.Errorf("%d bytes used of %d", used, memory.Bytes)
	}
	for i := range noisy {
		noisy[i].Clear(now, &memory)
	}
	quiet.Tidy(now.Add(time.Hour), &memory)
	if memory.Used() != 0 || memory.Fair() != memory.Bytes {
		t.Errorf("%d bytes are left, the fair part is %d", memory.Used(), memory.Fair())
	}
}

// A node that has dropped old events must not answer as if there had been none.
func TestRecent_doesNotAnswerForTheTimeOfDroppedEvents(t *testing.T) {
	memory := backplane.SharedMemory{Bytes: 1 << 20}
	var r Recent
	subscribed := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r.Clear(subscribed, &memory)
	add := func(number byte, after time.Duration) {
		r.Add(&events.Event{ID: events.ID{number}, Data: make([]byte, recentFirst-1)}, subscribed.Add(after), &memory)
	}
	add(1, time.Second)
	if data, ok := r.from(subscribed.Add(time.Millisecond)); !ok || len(data) != 1 {
		t.Fatalf("%d events, %t", len(data), ok)
	}
	add(2, 2*recentSpan) // drops the first one
	if data, ok := r.from(subscribed.Add(time.Millisecond)); ok {
		t.Errorf("answered with %d events; one was dropped", len(data))
	}
	if data, ok := r.from(subscribed.Add(2 * time.Second)); !ok || len(data) != 1 {
		t.Errorf("%d events, %t: nothing is missing since then", len(data), ok)
	}
	r.Clear(subscribed, &memory)
}
