package redis

import (
	"math"
	"slices"
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
	blocks []*recentBlock // in order; none is empty
	base   time.Time      // the times in blocks count from here
	before events.ID      // the Id of the one before the first; zero: not known
	since  time.Time      // all that came since then is there; zero: not known
}

// recentBlock has some events of a lane, one behind the other. It is made once, goes as a whole when the last of them
// is too old, and is then filled anew.
type recentBlock struct {
	events []recentEvent
	text   []byte
}

// recentEvent is an event and when it came.
type recentEvent struct {
	id  events.ID
	at  time.Duration // since base
	end int           // of its data in text, which begins at the end of the one before
}

const (
	// A lane's first block has room for one event, each further one for twice as much as the one before.
	recentFirst = 1 << 10
	recentLast  = 64 << 10
	// recentEach is how many bytes of text there are for each event in a block: smaller ones do not fill it.
	recentEach = 256
)

// recentSize is what a block counts for that has room for so many bytes of text.
func recentSize(text int) int64 { return int64(text + text/recentEach*32 + 64) }

func (b *recentBlock) size() int64 { return recentSize(cap(b.text)) }

// holds says that there is room for an event of so many bytes.
func (b *recentBlock) holds(n int) bool {
	return cap(b.text)-len(b.text) >= n && len(b.events) < cap(b.events)
}

func (b *recentBlock) last() *recentEvent { return &b.events[len(b.events)-1] }

// add appends an event. If that takes another block, those of this lane go that are too old, and so many others as is
// needed to stay within the limit of all lanes together.
func (r *recent) add(ev *events.Event, now time.Time, used *atomic.Int64, limit int64) {
	if r.base.IsZero() {
		r.base = now
	}
	var block *recentBlock
	if n := len(r.blocks); n > 0 && r.blocks[n-1].holds(len(ev.Data)) {
		block = r.blocks[n-1]
	} else if block = r.another(len(ev.Data), now, used, limit); block == nil {
		r.clear(now, used)
		r.before = ev.ID
		return
	}
	block.text = append(block.text, ev.Data...)
	block.events = append(block.events, recentEvent{id: ev.ID, at: now.Sub(r.base), end: len(block.text)})
}

// another appends a block with room for an event of so many bytes; nil if the limit does not allow it.
func (r *recent) another(n int, now time.Time, used *atomic.Int64, limit int64) *recentBlock {
	text := max(recentFirst, n)
	if k := len(r.blocks); k > 0 {
		text = max(n, min(2*cap(r.blocks[k-1].text), recentLast))
	}
	block := r.tidy(now, used)
	for len(r.blocks) > 0 && used.Load()+recentSize(text) > limit {
		block = r.forget(1, used)
	}
	if block != nil && cap(block.text) >= text {
		text = cap(block.text)
	} else {
		block = nil
	}
	if used.Add(recentSize(text)) > limit {
		used.Add(-recentSize(text))
		return nil
	}
	if block == nil {
		block = &recentBlock{text: make([]byte, 0, text), events: make([]recentEvent, 0, text/recentEach)}
	}
	r.blocks = append(r.blocks, block)
	return block
}

// tidy lets go of what is too old; it answers a block of it that can be filled anew, nil if there is none.
func (r *recent) tidy(now time.Time, used *atomic.Int64) *recentBlock {
	drop := 0
	for drop < len(r.blocks) && now.Sub(r.base)-r.blocks[drop].last().at > recentSpan {
		drop++
	}
	return r.forget(drop, used)
}

// forget takes the first n blocks out. It answers the last of them, emptied.
func (r *recent) forget(n int, used *atomic.Int64) *recentBlock {
	if n == 0 {
		return nil
	}
	for _, b := range r.blocks[:n] {
		used.Add(-b.size())
	}
	block := r.blocks[n-1]
	r.before, r.since = block.last().id, r.base.Add(block.last().at)
	block.events, block.text = block.events[:0], block.text[:0]
	r.blocks = slices.Delete(r.blocks, 0, n)
	return block
}

// clear forgets everything: there was a hole until now. It is zero for a lane that is not listened to.
func (r *recent) clear(now time.Time, used *atomic.Int64) {
	for _, b := range r.blocks {
		used.Add(-b.size())
	}
	*r = recent{since: now}
}

// all are the events with their data, which is valid until the next change.
func (r *recent) all(yield func(*recentEvent, []byte) bool) {
	for _, b := range r.blocks {
		start := 0
		for i := range b.events {
			e := &b.events[i]
			if !yield(e, b.text[start:e.end]) {
				return
			}
			start = e.end
		}
	}
}

// from are the events that came at a time or later; ok is false if there may have been others.
func (r *recent) from(at time.Time) (data [][]byte, ok bool) {
	if r.since.IsZero() || !r.since.Before(at) {
		return nil, false
	}
	for e, text := range r.all {
		if !r.base.Add(e.at).Before(at) {
			data = append(data, text)
		}
	}
	return data, true
}

// after are the events that followed the one with an Id; ok is false if that one is not known here.
func (r *recent) after(id events.ID) (data [][]byte, ok bool) {
	found := id == r.before
	for e, text := range r.all {
		if found {
			data = append(data, text)
		}
		found = found || e.id == id
	}
	return data, found
}

// sinceMargin is for the clocks of two nodes and a server, which are compared while messages are under way. What is
// answered twice is known by its Id.
const sinceMargin = time.Second

// answer are the events that a question asks for; ok is false if they are not all known.
func (r *recent) answer(q *question, era *sequence.Era) (data [][]byte, ok bool) {
	if id, ok := events.ParseID(q.Known); ok {
		if id == (events.ID{}) {
			return nil, false // many events may have none
		}
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
