package fanout

import (
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// waiting is what an outbox has to send while its socket is full: references to shared frames in the order in which
// they have to go out. Its zero value is empty.
type waiting struct {
	queue []pending
	head  int // queue[:head] is gone
	bytes int // of memory that all of it takes

	// large is the size of a frame that is no event and larger than one write; 0: none waits. If there are several it is
	// the first.
	large int

	// newest finds the frame that a newer state event replaces: its place in queue plus moved, the number of
	// places by which queue was shifted since. nil while no state event waits.
	newest map[ownState]int
	moved  int
}

// ownState names what a state event is the state of, for one subscription: events of another one, ended or begun by a
// frame in between, neither replace those of this one nor are replaced by them.
type ownState struct{ subscription, key events.ID }

// pending is one frame that waits.
type pending struct {
	broadcast *broadcast // nil for a frame of this outbox alone
	frame     []byte     // set when broadcast is nil
	id        events.ID
	since     time.Time
}

// pendingBytes is what a frame that waits takes beside its bytes: a pending of 72, the slack of a queue that has grown, and
// what the allocator rounds up. Without it a flood of pongs, two bytes each, took 43 times what it counted.
const pendingBytes = 96

// size is the memory that a frame takes; one that is shared counts for everybody who waits for it.
func (p *pending) size(protocol Protocol) int {
	if p.broadcast != nil {
		return pendingBytes + len(p.broadcast.frames[protocol].Bytes)
	}
	return pendingBytes + len(p.frame)
}

// push adds a frame at the end, or in the place of an older one that it makes worthless. limit is that of one write.
func (w *waiting) push(p pending, limit int, protocol Protocol) (conflated bool) {
	size := p.size(protocol)
	w.bytes += size
	if p.broadcast == nil && size > limit && w.large == 0 {
		w.large = size
	}
	if w.head > 64 && w.head*2 > len(w.queue) {
		n := copy(w.queue, w.queue[w.head:])
		clear(w.queue[n:])
		w.queue = w.queue[:n]
		w.moved += w.head
		w.head = 0
	}
	if p.broadcast != nil && p.broadcast.state {
		key := ownState{p.id, p.broadcast.key}
		if place, ok := w.newest[key]; ok {
			older := &w.queue[place-w.moved]
			w.bytes -= older.size(protocol)
			p.since = older.since
			*older = p
			return true
		}
		if w.newest == nil {
			w.newest = map[ownState]int{}
		}
		w.newest[key] = len(w.queue) + w.moved
	}
	w.queue = append(w.queue, p)
	return false
}

// oldest is when the frame that waits longest came.
func (w *waiting) oldest() (since time.Time, ok bool) {
	if w.head == len(w.queue) {
		return time.Time{}, false
	}
	return w.queue[w.head].since, true
}

// next moves frames into buf until it holds limit bytes or nothing waits any more, and counts the events moved and
// those that had expired by now.
func (w *waiting) next(buf []byte, limit int, protocol Protocol, now time.Time) (_ []byte, moved, expired int) {
	for w.head < len(w.queue) && len(buf) < limit {
		p := &w.queue[w.head]
		size := p.size(protocol)
		w.bytes -= size
		if b := p.broadcast; b == nil {
			if size > limit {
				w.large = 0
			}
			buf = append(buf, p.frame...)
		} else {
			if b.state {
				delete(w.newest, ownState{p.id, b.key})
			}
			if b.expired(now) {
				expired++
			} else {
				buf = b.frames[protocol].splice(buf, p.id)
				moved++
			}
		}
		*p = pending{}
		w.head++
	}
	if w.head == len(w.queue) {
		*w = waiting{}
	}
	return buf, moved, expired
}

// drop forgets everything and counts the events among it.
func (w *waiting) drop() (dropped int) {
	for i := w.head; i < len(w.queue); i++ {
		if w.queue[i].broadcast != nil {
			dropped++
		}
	}
	*w = waiting{}
	return dropped
}
