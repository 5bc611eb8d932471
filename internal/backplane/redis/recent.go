package redis

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/sequence"
	"github.com/rte-server/rte-server/internal/events"
)

// recentSpan is for how long a node keeps events without a journal, for nodes that missed them.
const recentSpan = 30 * time.Second

// recent are the latest events of a lane that came without a position, in order and without a hole. It belongs to the
// worker that has the lane.
type recent struct {
	entries []recentEvent
	before  events.ID // the Id of the one before the first entry; zero: not known
	since   time.Time // all that came since then is there; zero: not known
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
	e := recentEvent{id: ev.ID, data: ev.Data, at: now}
	total := used.Add(e.size())
	drop := 0
	var room []byte // of an event that goes
	for drop < len(r.entries) && (total > limit || now.Sub(r.entries[drop].at) > recentSpan) {
		total = used.Add(-r.entries[drop].size())
		room = r.entries[drop].data
		drop++
	}
	r.forget(drop)
	if total > limit {
		used.Add(-e.size())
		r.before, r.since = e.id, now
		return
	}
	if n := len(ev.Data); cap(room) < n || cap(room) > 2*n {
		room = make([]byte, 0, n)
	}
	e.data = append(room[:0], ev.Data...)
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
	r.before, r.since = r.entries[n-1].id, r.entries[n-1].at
	clear(r.entries[:n])
	if r.entries = r.entries[n:]; len(r.entries) == 0 {
		r.entries = nil
	}
}

// clear forgets everything: there was a hole until now. It is zero for a lane that is not listened to.
func (r *recent) clear(now time.Time, used *atomic.Int64) {
	for i := range r.entries {
		used.Add(-r.entries[i].size())
	}
	*r = recent{since: now}
}

// from are the events that came at a time or later; ok is false if there may have been others.
func (r *recent) from(at time.Time) (data [][]byte, ok bool) {
	if r.since.IsZero() || !r.since.Before(at) {
		return nil, false
	}
	for i := range r.entries {
		if !r.entries[i].at.Before(at) {
			data = append(data, r.entries[i].data)
		}
	}
	return data, true
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

// sinceMargin is for the clocks of two nodes and a server, which are compared while messages are under way. What is
// answered twice is known by its Id.
const sinceMargin = time.Second

// answer are the events that a question asks for; ok is false if they are not all known.
func (r *recent) answer(q *question, era *sequence.Era) (data [][]byte, ok bool) {
	if id, ok := events.ParseID(q.Known); ok {
		return r.after(id)
	}
	since, ok := backplane.ParseStreamID(q.Since)
	if !ok || era == nil || since.Milliseconds > math.MaxInt64/uint64(time.Millisecond) {
		return nil, false
	}
	//nolint:gosec // both are times
	age := time.Duration(int64(era.Settled.Milliseconds)-int64(since.Milliseconds)) * time.Millisecond
	return r.from(era.Asked.Add(-age - sinceMargin))
}
