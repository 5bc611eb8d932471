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

// Recheck says of each topic, in order, whether the caller may still listen to it: all that Authorize decided is decided
// again, for what the directory and the policy say now. While the directory is away nothing ends; Run then has it looked
// at again later.
func (g *Gate) Recheck(ctx context.Context, claims *Claims, topics []events.Topic) (allowed []bool) {
	allowed = make([]bool, len(topics))
	ids, entities := make([]events.ID, len(topics)), make([]directory.Entity, len(topics))
	for i := range topics {
		ids[i] = topics[i].Entity
	}
	g.directory.Lookup(ctx, callerOf(claims), ids, entities)
	for i, topic := range topics {
		v, _ := g.judge(claims, question{topic.Entity, topic.Type}, &entities[i])
		if v == verdictUnavailable {
			g.undecided.add(topic.Entity)
		}
		allowed[i] = v == verdictUnavailable || v == verdictAllowed && entities[i].Organization == topic.Organization
	}
	return allowed
}

// Back-off between two attempts to decide what could not be decided.
const (
	undecidedFirst = time.Second
	undecidedLast  = 30 * time.Second
)

// undecided are entities that Recheck could not decide about because the directory was away.
type undecided struct {
	metrics *undecidedMetrics
	came    wakeup.Signal // set when there are some

	mu       sync.Mutex
	entities map[events.ID]struct{} // guarded by mu
	all      bool                   // guarded by mu; there were too many to be named
}

func newUndecided(reg prometheus.Registerer) *undecided {
	u := &undecided{metrics: newUndecidedMetrics(reg), came: wakeup.New(), entities: map[events.ID]struct{}{}}
	u.metrics.capacity.Set(directory.MaxChange)
	return u
}

// add notes an entity.
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
	u.showLocked()
	u.came.Set()
}

// take takes what there is as a change.
func (u *undecided) take() (change Change) {
	u.mu.Lock()
	defer u.mu.Unlock()
	change.All = u.all
	for id := range u.entities {
		change.Entities = append(change.Entities, id)
	}
	u.all, u.entities = false, map[events.ID]struct{}{}
	u.showLocked()
	return change
}

func (u *undecided) showLocked() {
	if u.all {
		u.metrics.length.Set(directory.MaxChange)
		return
	}
	u.metrics.length.Set(float64(len(u.entities)))
}

// run has entities looked at again until ctx ends: soon, and later and later as long as the directory stays away.
func (u *undecided) run(ctx context.Context, changed func(Change)) {
	pause, last := undecidedFirst, time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-u.came.C():
		}
		if time.Since(last) > 2*undecidedLast {
			pause = undecidedFirst // what came before was decided in the meantime
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause + rand.N(pause/4)): //nolint:gosec // jitter
		}
		pause, last = min(2*pause, undecidedLast), time.Now()
		u.metrics.repeated.Inc()
		changed(u.take())
	}
}
