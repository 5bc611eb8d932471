package authz

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rte-server/rte-server/internal/authz/directory"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/wakeup"
)

// Recheck decides again about topics that Authorize allowed, by the current directory and policy. It reports for each
// topic, in order, whether the caller may stay subscribed. While the directory is unavailable every topic stays
// allowed, and Run retries later.
func (g *Gate) Recheck(ctx context.Context, claims *Claims, topics []events.Topic) (allowed []bool) {
	allowed = make([]bool, len(topics))
	ids, entities := make([]events.ID, len(topics)), make([]directory.Entity, len(topics))
	for i := range topics {
		ids[i] = topics[i].Entity
	}
	g.directory.Lookup(ctx, callerOf(claims), ids, entities)
	for i, topic := range topics {
		why, _ := g.decide(claims, target{topic.Entity, topic.Type}, &entities[i])
		if why == reasonUnavailable {
			g.undecided.add(topic.Entity)
		}
		allowed[i] = why == reasonUnavailable || why == reasonAllowed && entities[i].Organization == topic.Organization
	}
	return allowed
}

// Backoff between two retries of undecided entities.
const (
	undecidedFirst = time.Second
	undecidedLast  = 30 * time.Second
)

// undecided holds the entities that Recheck could not decide about because the directory was unavailable.
type undecided struct {
	metrics *undecidedMetrics
	came    wakeup.Signal // set when there are some

	mu       sync.Mutex
	entities map[events.ID]struct{} // guarded by mu
	all      bool                   // guarded by mu; there were too many to list
}

func newUndecided(reg prometheus.Registerer) *undecided {
	u := &undecided{metrics: newUndecidedMetrics(reg), came: wakeup.New(), entities: map[events.ID]struct{}{}}
	u.metrics.capacity.Set(directory.MaxChange)
	return u
}

// add adds an entity. Beyond directory.MaxChange entities, everything counts as undecided.
func (u *undecided) add(id events.ID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.all {
		u.entities[id] = struct{}{}
	}
	if len(u.entities) > directory.MaxChange {
		u.all = true
		clear(u.entities)
	}
	u.updateMetricsLocked()
	u.came.Set()
}

// take returns and clears the undecided entities.
func (u *undecided) take() (change Change) {
	u.mu.Lock()
	defer u.mu.Unlock()
	change.All = u.all
	for id := range u.entities {
		change.Entities = append(change.Entities, id)
	}
	u.all, u.entities = false, map[events.ID]struct{}{}
	u.updateMetricsLocked()
	return change
}

func (u *undecided) updateMetricsLocked() {
	if u.all {
		u.metrics.length.Set(directory.MaxChange)
		return
	}
	u.metrics.length.Set(float64(len(u.entities)))
}

// run calls changed with the undecided entities until ctx ends: after one second at first, then with growing pauses
// while the directory stays unavailable.
func (u *undecided) run(ctx context.Context, changed func(Change)) {
	pause, last := undecidedFirst, time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-u.came.C():
		}
		if time.Since(last) > 2*undecidedLast {
			pause = undecidedFirst // the previous outage is over
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause + rand.N(pause/4)): //nolint:gosec // jitter
		}
		change := u.take()
		if !change.All && len(change.Entities) == 0 {
			continue // the attempt before had them all: they came during its pause
		}
		pause, last = min(2*pause, undecidedLast), time.Now()
		u.metrics.repeated.Inc()
		changed(change)
	}
}
