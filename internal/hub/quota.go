package hub

import (
	"sync"

	"github.com/rte-server/rte-server/internal/events"
)

// quota counts the subscriptions of organizations, those included that are being decided about.
type quota struct {
	limit int // static; 0: nothing is counted

	mu   sync.Mutex        // guards the following field
	used map[events.ID]int // those above 0
}

// take says whether an organization may have another subscription, and counts it.
func (q *quota) take(organization events.ID) bool {
	if q.limit == 0 {
		return true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.used[organization] >= q.limit {
		return false
	}
	q.used[organization]++
	return true
}

// give gives back what take has counted.
func (q *quota) give(organization events.ID, n int) {
	if q.limit == 0 || n == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.used[organization] -= n; q.used[organization] == 0 {
		delete(q.used, organization)
	}
}
