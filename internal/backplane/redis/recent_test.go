package redis

import (
	"encoding/binary"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rte-server/rte-server/internal/events"
)

// What a lane answers other nodes has no hole, and all lanes together stay within their limit.
func TestRecent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const limit = 100 << 10
		var used atomic.Int64
		lanes := make([]struct {
			recent
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
			l.add(&events.Event{ID: id, Data: data}, now, &used, limit)
			l.all = append(l.all, id)
			if used.Load() > limit {
				t.Fatalf("%d bytes are kept", used.Load())
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
					t.Fatalf("the answer has a hole")
				}
				answer = answer[:len(answer)-1]
			}
			if len(answer) > 0 {
				t.Fatalf("%d events too many", len(answer))
			}
		}
		for i := range lanes {
			lanes[i].clear(now, &used)
		}
		if used.Load() != 0 {
			t.Errorf("%d bytes are left", used.Load())
		}
	})
}

// Events without an Id are no place to begin at.
func TestRecent_zeroIsNotKnown(t *testing.T) {
	var used atomic.Int64
	var r recent
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for range 2 {
		r.add(&events.Event{Data: []byte("{}")}, now, &used, 1<<20)
	}
	if data, ok := r.answer(&question{Known: events.ID{}.String()}, nil); ok {
		t.Errorf("answered with %d events", len(data))
	}
}

// Blocks of a lane that is heard all the time are used again.
func TestRecent_allocatesNothing(t *testing.T) {
	var used atomic.Int64
	var r recent
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ev := &events.Event{ID: events.NewID(), Data: make([]byte, 1000)}
	for range 10_000 {
		r.add(ev, now, &used, 1<<20)
	}
	if allocs := testing.AllocsPerRun(10_000, func() { r.add(ev, now, &used, 1<<20) }); allocs != 0 {
		t.Errorf("allocated %v times per event, want 0", allocs)
	}
}
