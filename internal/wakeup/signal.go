package wakeup

// Signal holds at most one pending wake-up. Any number of goroutines may set it; usually one waits for it. Copies share
// the pending wake-up. The zero Signal never wakes its waiter: make one with New.
type Signal struct {
	pending chan struct{}
}

// New returns a signal that is not set.
func New() Signal { return Signal{pending: make(chan struct{}, 1)} }

// Set wakes the waiter, or lets its next wait end at once. It never blocks and allocates nothing.
func (s Signal) Set() {
	select {
	case s.pending <- struct{}{}:
	default: // a wake-up is already pending
	}
}

// C returns the Go channel to wait on. A receive from it clears the signal.
func (s Signal) C() <-chan struct{} { return s.pending }

// Clear drops a pending wake-up and reports whether there was one. It never blocks.
func (s Signal) Clear() bool {
	select {
	case <-s.pending:
		return true
	default:
		return false
	}
}
