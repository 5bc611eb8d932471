package redis

import (
	"sync/atomic"

	"github.com/rte-server/rte-server/internal/events"
)

// share is what the lanes of an organization have in common: what they may take up of the node.
type load struct {
	lanes  int          // guarded by index.mu
	queued atomic.Int64 // bytes of items that wait for a worker

	stalled int     // guarded by scheduler.mu; workers that the sink keeps waiting with its events
	parked  []*lane // guarded by scheduler.mu; lanes that wait until it no longer does
}

// shareParts is how many organizations can have as much waiting as they may, before all lanes together have too much.
const organizationQuota = 4

// shareLocked is the share of an organization, with one more lane.
func (t *laneIndex) loadLocked(organization events.ID) *load {
	s := t.loads[organization]
	if s == nil {
		s = &load{}
		t.loads[organization] = s
	}
	s.lanes++
	return s
}
