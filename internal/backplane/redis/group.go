package redis

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/backplane"
)

// group has the links to one server: Options.Connections of them, over which the organizations are spread, and one
// more for isolation. Redis closes a subscribed connection whose messages exceed its output buffer. So if the
// publishers of one organization send too much at once, the others on its connection lose events; organizations on
// other connections lose none. When Redis closes a single connection, half of its organizations move to the
// isolation connection, see laneIndex.separate. With one connection there is no isolation.
//
// The first link is the leader: while it is not connected, the others do not dial, so that a server that comes back
// meets one link of each node. It also follows the Sentinels, keeps the functions, and carries the channels of nodes
// and back ends.
type group struct {
	name     string
	links    []*link       // by number; the last is that for isolation
	interval time.Duration // how often the others look at the leader's address
	leads    atomic.Bool   // the leader is connected
}

// singleCutSpan is how long the other links of a server must have been undisturbed for the end of one to be a single
// cut. A server that restarts, or a network that fails, ends all of them within that time.
const singleCutSpan = time.Second

// newGroup makes the links to a server.
func newGroup(b *Backplane, name string, commands goredis.UniversalClient, address addressFunc) *group {
	g := &group{name: name, interval: b.options.ProbeInterval}
	for number := range b.options.links() {
		k := newLink(b, name, commands, address)
		k.number, k.group = number, g
		g.links = append(g.links, k)
	}
	return g
}

// followSentinels makes the links follow the master that Sentinels watch.
func (g *group) followSentinels(s *sentinels) {
	for _, k := range g.links {
		k.address, k.watch = s.address, g.watchLeader
	}
	g.links[0].watch = s.watch
}

// watchLeader polls the address of the leader until it differs; then it returns an error. It returns nil if ctx ends
// before.
func (g *group) watchLeader(ctx context.Context, address string) error {
	ticker := time.NewTicker(g.interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if g.leads.Load() && !g.links[0].at(address) {
			return errors.New("the first connection has another master")
		}
	}
}

// leaderPoll is how often a link that must not dial looks whether the leader is connected.
const leaderPoll = 20 * time.Millisecond

// awaitLeader waits until a link may dial, or ctx ends.
func (g *group) awaitLeader(ctx context.Context, k *link) {
	for k.number > 0 && !g.leads.Load() {
		select {
		case <-ctx.Done():
			return
		case <-time.After(leaderPoll):
		}
	}
}

// links returns how many links a server has.
func (o *Options) links() int {
	if o.Connections == 1 {
		return 1
	}
	return o.Connections + 1
}

// run runs the links until ctx ends.
func (g *group) run(ctx context.Context) {
	var running sync.WaitGroup
	for _, k := range g.links {
		running.Go(func() { k.run(ctx) })
	}
	running.Wait()
}

// cutAlone reports whether the last epoch of a link was cut off while the other links of its server lived.
func (g *group) cutAlone(k *link) bool {
	cut := k.cut.Swap(0)
	if cut == 0 || len(g.links) == 1 {
		return false
	}
	for _, other := range g.links {
		if other != k && (!other.healthy.Load() || time.Duration(cut-other.ended.Load()) < singleCutSpan) {
			return false
		}
	}
	return true
}

// health returns the worst health of the links of several servers.
func health(groups []*group) backplane.Health {
	worst := backplane.Health{Connected: true}
	for _, g := range groups {
		for _, k := range g.links {
			h := k.get()
			if !h.Connected {
				return h
			}
			if worst.Detail == "" {
				worst = h
			}
		}
	}
	return worst
}
