package fanout

import "time"

const (
	// quantum is what a turn queue may spend per turn: 64 writes of about 5 us. The events of a quiet organization wait
	// that long for each busy one. Changing queues costs less than 1 % of it.
	quantum = 64 * writeCost
	// writeCost is the price of a write; each bytesPerCost of its bytes add 1. Appending a frame costs 1. Measured: 5
	// us, 0.5 us per KB, and 0.1 us.
	writeCost    = 32
	bytesPerCost = 256
)

// turnQueue holds the work of a shard for one organization. Turn queues with work are served by deficit round robin, so
// that a burst of one organization does not delay the others. A turn queue without work is not kept for long.
type turnQueue struct {
	organization *organization // nil: the control queue, for frames that are no events
	next         *turnQueue    // in the ring
	// deficit is what the queue may still spend in this turn. Negative: it overspent in the last one.
	deficit int

	first, last *command // events that are not begun
	switches    int      // how many of them have another topic than the one before
	pass        pass     // the events that are being delivered

	touched   []*Outbox // outboxes to write; an outbox may have changed to another queue since
	collected int       // bytes of events in their buf
	buffered  int       // capacity of these
	flushing  bool      // touched is being written, flushed of them so far; nothing is appended meanwhile
	flushed   int

	unmeasured []*broadcast // events whose frames are in touched outboxes, for their ages
	round      round
	batches    bool      // resting saves writes: the queue rests between rounds
	restsUntil time.Time // no round begins before this time
	resting    bool      // it is neither in the ring nor retired
	listed     bool      // it is in the list of resting queues
}

// push adds an event.
func (q *turnQueue) push(c *command) {
	c.next = nil
	if q.first == nil {
		q.first = c
	} else {
		q.last.next = c
		q.switches += switchCount(q.last, c)
	}
	q.last = c
}

// pop removes the first event and returns it.
func (q *turnQueue) pop() *command {
	c := q.first
	q.first = c.next
	if q.first != nil {
		q.switches -= switchCount(c, q.first)
	}
	c.next = nil
	return c
}

// switchCount returns 1 if b cannot be in the same pass as a, else 0.
func switchCount(a, b *command) int {
	if a.broadcast.entry != b.broadcast.entry || a.kind != b.kind {
		return 1
	}
	return 0
}

// betweenRounds reports whether nothing is under way.
func (q *turnQueue) betweenRounds() bool { return q.pass.first == nil && len(q.touched) == 0 }

// collectedEnough reports whether the queue must write before it collects more.
func (q *turnQueue) collectedEnough() bool {
	return q.collected >= collectBytes || q.buffered >= maxKeptBytes
}

// empty reports whether there is nothing left to do.
func (q *turnQueue) empty() bool { return q.first == nil && q.betweenRounds() }

// hasWork reports whether there is something to do now.
func (q *turnQueue) hasWork(now time.Time) bool {
	return !q.betweenRounds() || q.first != nil && !now.Before(q.restsUntil)
}

// ring holds the turn queues with work, in the order in which they are served.
type ring struct{ first, last *turnQueue }

func (r *ring) push(q *turnQueue) {
	q.next = nil
	if r.first == nil {
		r.first = q
	} else {
		r.last.next = q
	}
	r.last = q
}

func (r *ring) pop() *turnQueue {
	q := r.first
	if q != nil {
		r.first = q.next
	}
	return q
}
