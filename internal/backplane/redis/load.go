package redis

import (
	"sync/atomic"

	"github.com/rte-server/rte-server/internal/events"
)

// load is what the lanes of one organization take up of the node, and what it may use.
type load struct {
	lanes  int          // guarded by index.mu
	queued atomic.Int64 // bytes of entries that wait for a worker

	stalled int     // guarded by scheduler.mu; workers that the sink makes wait with its events
	parked  []*lane // guarded by scheduler.mu; lanes that wait until none of its workers does
}

// quotaDivisor is the quota of an organization: it may use a quarter of Options.TotalQueue.
const quotaDivisor = 4

// loadLocked returns the load of an organization, with one more lane.
func (t *laneIndex) loadLocked(organization events.ID) *load {
	l := t.loads[organization]
	if l == nil {
		l = &load{}
		t.loads[organization] = l
	}
	l.lanes++
	return l
}
