package fanout

import (
	"time"

	"github.com/rte-server/rte-server/internal/subscriptions"
)

const (
	// quantum is what a lane may spend before it is the next one's turn: 64 writes of about 5 us. A quiet
	// organization waits that long for each busy one, and changing lanes costs less than 1 % of it.
	quantum = 64 * writeCost
	// writeCost is the price of a write, to which that of its bytes comes: 1 for each bytesPerCost. That of appending a
	// frame is 1. Measured: 5 us, 0.5 us per KB, and 0.1 us.
	writeCost    = 32
	bytesPerCost = 256
)

// lane is what a shard has to do for one organization. Lanes with work are served in turn (deficit round robin), so
// that one organization's burst does not hold up the others. A lane without work is not kept.
type lane struct {
	owner *subscriptions.Owner // nil: the control lane, for frames that are no events
	next  *lane                // in the ring of lanes with work
	// deficit is what may still be spent in this turn; negative: what was overspent in the last one.
	deficit int

	first, last *item // events that are not begun
	switches    int   // how many of them are of another topic than the one before
	pass        pass  // events that are being delivered

	touched   []*Outbox // outboxes that it is to write, those that are still its own
	collected int       // bytes in their buf
	flushing  bool      // touched is being written, up to flushed so far; nothing is appended meanwhile
	flushed   int

	round   round
	shared  bool      // several events save writes: the lane rests between rounds
	rests   time.Time // until then; no round begins before
	resting bool      // it is neither in the ring nor retired
	listed  bool      // it is in the list of those that rest
}

// put adds an event.
func (l *lane) put(it *item) {
	it.next = nil
	if l.first == nil {
		l.first = it
	} else {
		l.last.next = it
		l.switches += differ(l.last, it)
	}
	l.last = it
}

// cut takes the events up to last out.
func (l *lane) cut(last *item) {
	for it := l.first; it != last; it = it.next {
		l.switches -= differ(it, it.next)
	}
	l.first = last.next
	if l.first != nil {
		l.switches -= differ(last, l.first)
	}
	last.next = nil
}

func differ(a, b *item) int {
	if a.broadcast.entry != b.broadcast.entry || a.kind != b.kind {
		return 1
	}
	return 0
}

// between says that nothing is under way.
func (l *lane) between() bool { return l.pass.first == nil && len(l.touched) == 0 }

// idle says that nothing is left to do.
func (l *lane) idle() bool { return l.first == nil && l.between() }

// works says that there is something to do now.
func (l *lane) works(now time.Time) bool {
	return !l.between() || l.first != nil && !now.Before(l.rests)
}

// ring is the lanes with work, in the order in which they are served.
type ring struct{ first, last *lane }

func (r *ring) push(l *lane) {
	l.next = nil
	if r.first == nil {
		r.first = l
	} else {
		r.last.next = l
	}
	r.last = l
}

func (r *ring) pop() *lane {
	l := r.first
	if l != nil {
		r.first = l.next
	}
	return l
}
