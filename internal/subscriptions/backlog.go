package subscriptions

import "sync/atomic"

// Backlog counts work that is under way and holds up whoever would add to too much of it. It may be used from any
// goroutine and takes no lock.
type Backlog struct {
	pending atomic.Int64
	waiters atomic.Int32
	room    chan struct{} // a token when there may be room again for somebody who waits
}

// NewBacklog makes an empty backlog. A Backlog must not be copied once it is used.
func NewBacklog() Backlog { return Backlog{room: make(chan struct{}, 1)} }

// Pending is how much is under way.
func (b *Backlog) Pending() int64 { return b.pending.Load() }

// Full says whether Wait would wait.
func (b *Backlog) Full(limit int64) bool { return b.pending.Load() > limit }

// Add says that work has been added.
func (b *Backlog) Add(n int64) { b.pending.Add(n) }

// Done says that work has been done. As soon as there is room again it wakes those who wait, and says that there were any:
// what they add comes evenly then, where it would come in bursts, and the work run out between them, if they slept until
// much is done.
func (b *Backlog) Done(n, limit int64) (awaited bool) {
	if b.pending.Add(-n) > limit || b.waiters.Load() == 0 {
		return false
	}
	b.wake()
	return true
}

// Wait returns at once when no more than limit is under way, else when there is room again or stop is closed. It
// says whether it had to wait.
func (b *Backlog) Wait(limit int64, stop <-chan struct{}) (waited bool) {
	if b.pending.Load() <= limit {
		return false
	}
	b.waiters.Add(1)
	defer b.waiters.Add(-1)
	for b.pending.Load() > limit {
		select {
		case <-b.room:
		case <-stop:
			return true
		}
	}
	b.wake() // the next one who waits
	return true
}

func (b *Backlog) wake() {
	select {
	case b.room <- struct{}{}:
	default:
	}
}
