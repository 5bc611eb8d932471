package fanout

import (
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// waiting holds the frames of an outbox while its socket is full, in the order in which they go out. Frames of events
// are references to shared frames. Its zero value is empty.
type waiting struct {
	queue []pending
	head  int // queue[:head] has gone out
	bytes int // memory of all frames

	// large is the size of the first frame that is no answer and larger than one write, 0 if no such frame waits. largeAt
	// is its place in queue plus moved.
	large, largeAt int
	// answer is the size of the answer; 0: there is none.
	answer int

	// newest finds the frame that a newer state event replaces: its place in queue plus moved, the number of places by
	// which queue has been shifted. nil while no state event waits.
	newest map[subscriptionState]int
	moved  int

	account *account // of the user; nil: none
}

// subscriptionState identifies what a state event is the state of, for one subscription. Events of another
// subscription, which a frame in between has ended or begun, neither replace those of this one nor are replaced by
// them.
type subscriptionState struct{ subscription, key events.ID }

// pending is a frame that waits.
type pending struct {
	broadcast *broadcast // nil for a frame of this outbox alone
	frame     []byte     // set if broadcast is nil
	id        events.ID
	since     time.Time
	answer    bool // frame is that of the answer
	counted   bool // frame gets a number when it goes out
}

// pendingBytes is the memory that a waiting frame takes beside its bytes: 80 for pending, the slack of a queue that has
// grown, and what the allocator rounds up. Without it, a flood of pongs of two bytes took 43 times what it counted.
const pendingBytes = 96

// size returns the memory that a frame takes. A shared frame counts for each outbox that waits for it.
func (p *pending) size(protocol Protocol) int {
	if p.broadcast != nil {
		return pendingBytes + len(p.broadcast.frame(protocol).Bytes)
	}
	return pendingBytes + len(p.frame)
}

// push adds a frame at the end, or in the place of an older state that it replaces, which it returns; else nil. limit
// is the size of one write.
func (w *waiting) push(p pending, limit int, protocol Protocol) (replaced *broadcast) {
	size := p.size(protocol)
	w.bytes += size
	if w.head > 64 && w.head*2 > len(w.queue) {
		n := copy(w.queue, w.queue[w.head:])
		clear(w.queue[n:])
		w.queue = w.queue[:n]
		w.moved += w.head
		w.head = 0
	}
	if p.broadcast != nil && p.broadcast.state {
		key := subscriptionState{p.id, p.broadcast.key}
		if place, ok := w.newest[key]; ok {
			older := &w.queue[place-w.moved]
			w.bytes -= older.size(protocol)
			p.since, replaced = older.since, older.broadcast
			*older = p
			if w.largeAt == place {
				w.large = 0
			}
			w.exempt(&p, place, size, limit)
			return replaced
		}
		if w.newest == nil {
			w.newest = map[subscriptionState]int{}
		}
		w.newest[key] = len(w.queue) + w.moved
	}
	w.exempt(&p, len(w.queue)+w.moved, size, limit)
	w.queue = append(w.queue, p)
	return nil
}

// exempt notes the size of a frame at a place if it does not count towards the bound of the outbox: an answer, or the
// first of the frames that are larger than one write.
func (w *waiting) exempt(p *pending, place, size, limit int) {
	switch {
	case p.answer:
		w.answer = size
	case size > limit && w.large == 0:
		w.large, w.largeAt = size, place
	}
}

// oldest returns the time since which the first frame has waited.
func (w *waiting) oldest() (since time.Time, ok bool) {
	if w.head == len(w.queue) {
		return time.Time{}, false
	}
	return w.queue[w.head].since, true
}

// next moves frames into buf until it holds limit bytes or no frame waits any more. It counts the events that it
// moved. It drops events that have expired and calls expired with each. It calls keep, unless it is nil, with each
// frame that gets a number.
func (w *waiting) next(
	buf []byte, limit int, protocol Protocol, now time.Time, expired func(*broadcast), keep func(numbered),
) (_ []byte, moved int) {
	for w.head < len(w.queue) && len(buf) < limit {
		p := &w.queue[w.head]
		if p.broadcast == nil && len(p.frame) >= limit {
			break // takeLarge removes it
		}
		w.bytes -= p.size(protocol)
		w.discount(p)
		if b := p.broadcast; b == nil {
			buf = append(buf, p.frame...)
			if p.counted && keep != nil {
				keep(numbered{frame: p.frame})
			}
		} else {
			if b.state {
				delete(w.newest, subscriptionState{p.id, b.key})
			}
			if b.expired(now) {
				expired(b)
			} else {
				buf = b.frame(protocol).splice(buf, p.id)
				moved++
				if keep != nil {
					keep(numbered{broadcast: b, id: p.id})
				}
			}
		}
		*p = pending{}
		w.head++
	}
	if w.head == len(w.queue) {
		*w = waiting{account: w.account}
	}
	return buf, moved
}

// discount ends the exemption of the first frame, p, which goes out.
func (w *waiting) discount(p *pending) {
	switch {
	case p.answer:
		w.answer = 0
	case w.largeAt == w.head+w.moved:
		w.large = 0
	}
}

// takeLarge removes and returns the first frame if it is no event and fills a write by itself. Otherwise it returns
// nil. counted reports whether the frame gets a number.
func (w *waiting) takeLarge(limit int) (frame []byte, counted bool) {
	if w.head == len(w.queue) {
		return nil, false
	}
	p := &w.queue[w.head]
	if p.broadcast != nil || len(p.frame) < limit {
		return nil, false
	}
	frame, counted = p.frame, p.counted
	w.bytes -= pendingBytes + len(frame)
	w.discount(p)
	*p = pending{}
	if w.head++; w.head == len(w.queue) {
		*w = waiting{account: w.account}
	}
	return frame, counted
}

// drop removes all frames and calls dropped with each event among them.
func (w *waiting) drop(dropped func(*broadcast)) {
	for i := w.head; i < len(w.queue); i++ {
		if b := w.queue[i].broadcast; b != nil {
			dropped(b)
		}
	}
	*w = waiting{account: w.account}
}
