package hub

import (
	"sync"
	"time"
)

// budgetSlack is how much of an unused budget counts later: timers are late.
const budgetSlack = 50 * time.Millisecond

// budget bounds the number of actions in a second (generic cell rate algorithm). Any goroutine may call its methods.
type budget struct {
	mu  sync.Mutex
	due time.Time // guarded by mu; when the budget allows the next one
}

// wait returns how long the next one has to wait; 0: not at all.
func (b *budget) wait(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(b.due.Sub(now), 0)
}

// spend takes one out of rate per second, even if wait is not 0. The next one waits for a second at most, or for one at
// the rate.
func (b *budget) spend(now time.Time, rate int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	each := time.Second / time.Duration(rate)
	if earliest := now.Add(-budgetSlack); b.due.Before(earliest) {
		b.due = earliest
	}
	b.due = b.due.Add(each)
	if latest := now.Add(max(time.Second, each)); b.due.After(latest) {
		b.due = latest
	}
}
