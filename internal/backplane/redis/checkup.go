package redis

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// checkups schedules lanes that need a later look: those with retained state that will expire, and those that received
// events without a position.
type checkups struct {
	mu    sync.Mutex
	lanes map[*lane]struct{} // guarded by mu
}

// add schedules a lane. Only the worker that has the lane may call it.
func (c *checkups) add(l *lane) {
	if l.checked {
		return
	}
	l.checked = true
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lanes == nil {
		c.lanes = map[*lane]struct{}{}
	}
	c.lanes[l] = struct{}{}
}

// remove takes a lane off the schedule. Only the worker that has the lane may call it.
func (c *checkups) remove(l *lane) {
	l.checked = false
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.lanes, l)
}

func (c *checkups) all() []*lane {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.lanes))
}

// checkup drops expired state of a lane and audits its journal.
type checkup struct{}

func (checkup) run(w *worker, l *lane, now time.Time) {
	l.recent.Tidy(now, &w.b.recent)
	kept := l.recent.Any()
	kept = l.states.Tidy(now, &w.b.states) || kept
	read, news := l.sequence.Audit()
	link := l.link.Load()
	switch {
	case news && link != nil:
		link.journal.add(l, read)
	case !kept && !l.sequence.Repairing():
		w.b.checkups.remove(l)
	}
}
