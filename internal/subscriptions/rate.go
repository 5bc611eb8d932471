package subscriptions

import (
	"sync/atomic"
	"time"
)

// Rate counts what happens against a number per second. Its zero value has seen nothing; it may be used from any goroutine
// and takes no lock.
type Rate struct {
	// spent is the time up to which everything is spoken for (the generic cell rate algorithm), since whatever now
	// counts from.
	spent atomic.Int64
}

// Take says whether there is room for one more now, and takes it. Up to a second's worth may come at once.
func (r *Rate) Take(now time.Duration, perSecond int) bool {
	for {
		spent := r.spent.Load()
		next := max(time.Duration(spent), now) + time.Second/time.Duration(perSecond)
		if next > now+time.Second {
			return false
		}
		if r.spent.CompareAndSwap(spent, int64(next)) {
			return true
		}
	}
}

// Free is how long it takes until Take succeeds, if nobody else takes.
func (r *Rate) Free(now time.Duration, perSecond int) time.Duration {
	next := max(time.Duration(r.spent.Load()), now) + time.Second/time.Duration(perSecond)
	return max(next-now-time.Second, 0)
}
