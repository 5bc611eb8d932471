package peer

import (
	"math"
	"slices"
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/sequence"
	"github.com/rte-server/rte-server/internal/events"
)

// recentSpan is how long a node keeps events without a journal for nodes that missed them.
const recentSpan = 30 * time.Second

// Recent has the latest events of a lane that came without a position, in order and without a gap. It belongs to the
// worker that has the lane. All lanes share one memory; all calls need the same one.
type Recent struct {
	blocks []*recentBlock // in order; none is empty
	base   time.Time      // the times in blocks count from here
	before events.ID      // the Id of the event before the first one; zero: not known
	since  time.Time      // every event since then is kept; zero: not known

	part *backplane.MemoryPart // of the lane's organization; nil while there are no blocks
}

// Any reports whether events are kept.
func (r *Recent) Any() bool { return len(r.blocks) > 0 }

// recentBlock has consecutive events of a lane. When the last of them is too old, the whole block is emptied and used
// again.
type recentBlock struct {
	events []recentEvent
	text   []byte
}

// recentEvent is an event and its arrival.
type recentEvent struct {
	id  events.ID
	at  time.Duration // since base
	end int           // of its data in text; the data begins at the end of the event before
}

const (
	// The first block of a lane has recentFirst bytes, or one event. Each further block has twice as many, up to
	// recentLast.
	recentFirst = 1 << 10
	recentLast  = 64 << 10
	// recentEach is how many bytes of text a block has per event. Smaller events do not fill the text.
	recentEach = 256
)

// recentSize is the memory of a block with room for that many bytes of text.
func recentSize(text int) int64 { return int64(text + text/recentEach*32 + 64) }

func (b *recentBlock) size() int64 { return recentSize(cap(b.text)) }

// holds reports whether the block has room for an event of n bytes.
func (b *recentBlock) holds(n int) bool {
	return cap(b.text)-len(b.text) >= n && len(b.events) < cap(b.events)
}

func (b *recentBlock) last() *recentEvent { return &b.events[len(b.events)-1] }

// Add appends an event. If it needs another block, Add drops the blocks of this lane that are too old, and as many
// others as the memory requires.
func (r *Recent) Add(ev *events.Event, now time.Time, m *backplane.SharedMemory) {
	if r.base.IsZero() {
		r.base = now
	}
	var block *recentBlock
	if n := len(r.blocks); n > 0 && r.blocks[n-1].holds(len(ev.Data)) {
		block = r.blocks[n-1]
	} else if block = r.another(ev, now, m); block == nil {
		r.Clear(now, m)
		r.before = ev.ID
		return
	}
	block.text = append(block.text, ev.Data...)
	block.events = append(block.events, recentEvent{id: ev.ID, at: now.Sub(r.base), end: len(block.text)})
}

// another appends a block with room for an event. It returns nil if there is no memory for it.
func (r *Recent) another(ev *events.Event, now time.Time, m *backplane.SharedMemory) *recentBlock {
	n := len(ev.Data)
	text := max(recentFirst, n)
	if k := len(r.blocks); k > 0 {
		text = max(n, min(2*cap(r.blocks[k-1].text), recentLast))
	}
	if r.part == nil {
		r.part = m.Join(ev.Organization)
	}
	block := r.tidy(now, m)
	for len(r.blocks) > 0 && !m.Room(r.part, recentSize(text)) {
		block = r.forget(1, m)
	}
	if block != nil && cap(block.text) >= text {
		text = cap(block.text)
	} else {
		block = nil
	}
	if !m.Take(r.part, recentSize(text)) {
		return nil
	}
	if block == nil {
		block = &recentBlock{text: make([]byte, 0, text), events: make([]recentEvent, 0, text/recentEach)}
	}
	r.blocks = append(r.blocks, block)
	return block
}

// Tidy drops the blocks that are too old.
func (r *Recent) Tidy(now time.Time, m *backplane.SharedMemory) {
	r.tidy(now, m)
	if len(r.blocks) == 0 {
		r.leave(m)
	}
}

// leave gives up the part of the memory.
func (r *Recent) leave(m *backplane.SharedMemory) {
	if r.part != nil {
		m.Leave(r.part)
		r.part = nil
	}
}

// tidy drops the blocks that are too old. It returns one of them for reuse; nil if none was dropped.
func (r *Recent) tidy(now time.Time, m *backplane.SharedMemory) *recentBlock {
	drop := 0
	for drop < len(r.blocks) && now.Sub(r.base)-r.blocks[drop].last().at > recentSpan {
		drop++
	}
	return r.forget(drop, m)
}

// forget removes the first n blocks. It returns the last of them, emptied.
func (r *Recent) forget(n int, m *backplane.SharedMemory) *recentBlock {
	if n == 0 {
		return nil
	}
	for _, b := range r.blocks[:n] {
		m.Give(r.part, b.size())
	}
	block := r.blocks[n-1]
	r.before, r.since = block.last().id, r.base.Add(block.last().at)
	block.events, block.text = block.events[:0], block.text[:0]
	r.blocks = slices.Delete(r.blocks, 0, n)
	return block
}

// Clear drops everything, as events were missed until now. now is zero for a lane that is not subscribed.
func (r *Recent) Clear(now time.Time, m *backplane.SharedMemory) {
	for _, b := range r.blocks {
		m.Give(r.part, b.size())
	}
	r.leave(m)
	*r = Recent{since: now}
}

// all iterates over the events and their data. The data is valid until the next change.
func (r *Recent) all(yield func(*recentEvent, []byte) bool) {
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

// from returns the events that came at a time or later. ok is false if there may have been others.
func (r *Recent) from(at time.Time) (data [][]byte, ok bool) {
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

// after returns the events that followed the one with an Id. ok is false if that event is not known.
func (r *Recent) after(id events.ID) (data [][]byte, ok bool) {
	found := id == r.before
	for e, text := range r.all {
		if found {
			data = append(data, text)
		}
		found = found || e.id == id
	}
	return data, found
}

// sinceMargin allows for the clocks of two nodes and a server, which are compared while messages are under way. The
// asking node recognizes events that it has by their Ids.
const sinceMargin = time.Second

// Answer returns the events that a query asks for. ok is false if they are not all known. era is the latest at the
// query.
func (r *Recent) Answer(q *Query, era *sequence.Era) (data [][]byte, ok bool) {
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
	age := time.Duration(int64(era.ServerTime.Milliseconds)-int64(since.Milliseconds)) * time.Millisecond
	return r.from(era.Requested.Add(-age - sinceMargin))
}
