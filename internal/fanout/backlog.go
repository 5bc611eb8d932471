package fanout

import (
	"sync/atomic"

	"github.com/rte-server/rte-server/internal/wakeup"
)

// backlog counts deliveries that are under way and holds back callers that would add to too many of them: the
// backpressure of the fan-out. Any goroutine may use it; it takes no lock.
type backlog struct {
	pending atomic.Int64
	waiters atomic.Int32
	room    wakeup.Signal // set when there may be room for a waiter
}

// newBacklog returns an empty backlog. A backlog must not be copied once it is in use.
func newBacklog() backlog { return backlog{room: wakeup.New()} }

// full reports whether wait would block.
func (b *backlog) full(limit int64) bool { return b.pending.Load() > limit }

// add counts n more deliveries.
func (b *backlog) add(n int64) { b.pending.Add(n) }

// done counts n deliveries less. It wakes the waiters as soon as there is room and reports whether there were any.
// Waking them early keeps their additions evenly spaced; waking them late would bring bursts, and the shard would run
// out of work between two of them.
func (b *backlog) done(n, limit int64) (awaited bool) {
	if b.pending.Add(-n) > limit || b.waiters.Load() == 0 {
		return false
	}
	b.room.Set()
	return true
}

// wait returns at once while no more than limit deliveries are under way; otherwise it blocks until there is room or
// stop is closed. It reports whether it blocked.
func (b *backlog) wait(limit int64, stop <-chan struct{}) (waited bool) {
	if b.pending.Load() <= limit {
		return false
	}
	b.waiters.Add(1)
	defer b.waiters.Add(-1)
	for b.pending.Load() > limit {
		select {
		case <-b.room.C():
		case <-stop:
			return true
		}
	}
	b.room.Set() // for the next waiter
	return true
}
