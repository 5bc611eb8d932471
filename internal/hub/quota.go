package hub

import (
	"sync"
	"sync/atomic"

	"github.com/rte-server/rte-server/internal/events"
)

// quota counts the subscriptions of each organization, including those that a running call may still grant.
type quota struct {
	limit atomic.Int64 // 0: none

	mu   sync.Mutex        // guards the following field
	used map[events.ID]int // counts above 0
}

// take counts another subscription of an organization. It reports whether the organization had room for it.
func (q *quota) take(organization events.ID) bool {
	limit := int(q.limit.Load())
	q.mu.Lock()
	defer q.mu.Unlock()
	if limit > 0 && q.used[organization] >= limit {
		return false
	}
	q.used[organization]++
	return true
}

// release gives back n subscriptions that take counted.
func (q *quota) release(organization events.ID, n int) {
	if n == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.used[organization] -= n; q.used[organization] == 0 {
		delete(q.used, organization)
	}
}
