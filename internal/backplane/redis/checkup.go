package redis

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// checkups has the lanes of which something is kept that goes some time, or with events that came without a position:
// what those say about the lane is found out later.
type checkups struct {
	mu    sync.Mutex
	lanes map[*lane]struct{} // guarded by mu
}

// add is called by the worker that has the lane.
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

// remove is called by the worker that has the lane.
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

// checkup lets a lane look after itself.
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
