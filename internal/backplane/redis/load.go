package redis

import (
	"math/rand/v2"
	"slices"
	"sync/atomic"

	"github.com/rte-server/rte-server/internal/events"
)

// load is what the lanes of one organization take up of the node, and what it may use.
type load struct {
	lanes  int          // guarded by index.mu
	number int          // guarded by index.mu; of the connection of its new lanes
	cuts   int          // guarded by index.mu; how often Redis closed its connection alone
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
		l = &load{number: t.leastLocked()}
		t.countLocked(l, 1)
		t.loads[organization] = l
	}
	l.lanes++
	return l
}

// unloadLocked forgets an organization without lanes.
func (t *laneIndex) unloadLocked(organization events.ID, l *load) {
	t.countLocked(l, -1)
	delete(t.loads, organization)
}

// countLocked counts an organization at its connection, unless that is the one for isolation.
func (t *laneIndex) countLocked(l *load, n int) {
	if l.number < len(t.organizations) {
		t.organizations[l.number] += n
	}
}

// leastLocked returns the connection with the fewest organizations. The first one, which has the channels of nodes and
// back ends, comes last.
func (t *laneIndex) leastLocked() (least int) {
	for i, n := range t.organizations {
		if n <= t.organizations[least] && (i > 0 && least == 0 || n < t.organizations[least]) {
			least = i
		}
	}
	return least
}

// separate moves organizations away from a link that was cut off alone: half of them to the isolation connection, or
// half of them back if it is that one. Redis discards the messages, so it is unknown which organization exceeded the
// output buffer. But its connection is closed each time: those whose connections were closed most often are isolated
// first and return last. separate returns how many organizations it moved. Their lanes are not subscribed now, so that
// moving them loses nothing more.
func (t *laneIndex) separate(link *link) (moved int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	here := map[*load][]*lane{}
	for _, l := range t.lanes {
		if l.handle == nil && l.link.Load() == link {
			here[l.load] = append(here[l.load], l)
		}
	}
	if len(here) < 2 {
		return 0
	}
	loads := make([]*load, 0, len(here))
	for l := range here {
		l.cuts++
		loads = append(loads, l)
	}
	rand.Shuffle(len(loads), func(i, j int) { loads[i], loads[j] = loads[j], loads[i] }) //nolint:gosec // no secret
	slices.SortStableFunc(loads, func(a, b *load) int { return b.cuts - a.cuts })
	half := (len(loads) + 1) / 2
	isolated := link.number == len(t.organizations)
	moving := loads[:half]
	if isolated {
		moving = loads[half:]
	}
	for _, l := range moving {
		to := len(t.organizations)
		if isolated {
			to = t.leastLocked()
		}
		t.countLocked(l, -1)
		l.number = to
		t.countLocked(l, 1)
		for _, lane := range here[l] {
			lane.number = to
			t.relocateLocked(lane)
		}
		moved++
	}
	return moved
}

// isolated returns how many organizations are on the isolation connection.
func (t *laneIndex) isolated() (count int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	count = len(t.loads)
	for _, n := range t.organizations {
		count -= n
	}
	return count
}
