package redis

import (
	"bytes"
	"sync/atomic"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// recentSpan is for how long a node keeps events without a journal, for nodes that missed them.
const recentSpan = 30 * time.Second

// recent are the latest events of a lane that came without a position, in order and without a hole. It belongs to the
// worker that has the lane.
type recent struct {
	entries []recentEvent
	before  events.ID // the Id of the one before the first entry; zero: not known
}

// recentEvent is an event and when it came.
type recentEvent struct {
	id   events.ID
	data []byte
	at   time.Time
}

func (e *recentEvent) size() int64 { return int64(len(e.data)) + 64 }

// add appends an event. What is too old goes, and so much of this lane's as is needed to stay within the limit of all
// lanes together.
func (r *recent) add(ev *events.Event, now time.Time, used *atomic.Int64, limit int64) {
	e := recentEvent{id: ev.ID, data: bytes.Clone(ev.Data), at: now}
	total := used.Add(e.size())
	drop := 0
	for drop < len(r.entries) && (total > limit || now.Sub(r.entries[drop].at) > recentSpan) {
		total = used.Add(-r.entries[drop].size())
		drop++
	}
	r.forget(drop)
	if total > limit {
		used.Add(-e.size())
		r.before = e.id
		return
	}
	r.entries = append(r.entries, e)
}

// tidy lets go of what is too old; it says whether anything is left.
func (r *recent) tidy(now time.Time, used *atomic.Int64) bool {
	drop := 0
	for drop < len(r.entries) && now.Sub(r.entries[drop].at) > recentSpan {
		used.Add(-r.entries[drop].size())
		drop++
	}
	r.forget(drop)
	return len(r.entries) > 0
}

// forget takes the first n entries out.
func (r *recent) forget(n int) {
	if n == 0 {
		return
	}
	r.before = r.entries[n-1].id
	clear(r.entries[:n])
	if r.entries = r.entries[n:]; len(r.entries) == 0 {
		r.entries = nil
	}
}

// clear forgets everything: there was a hole.
func (r *recent) clear(used *atomic.Int64) {
	for i := range r.entries {
		used.Add(-r.entries[i].size())
	}
	*r = recent{}
}

// after are the events that followed the one with an Id; ok is false if that one is not known here.
func (r *recent) after(id events.ID) (data [][]byte, ok bool) {
	found := id == r.before
	for i := range r.entries {
		if found {
			data = append(data, r.entries[i].data)
		}
		found = found || r.entries[i].id == id
	}
	return data, found
}
