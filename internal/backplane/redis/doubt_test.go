package redis_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/backplanetest"
	"github.com/rte-server/rte-server/internal/backplane/redis"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// atOnce is the most that an Acquire in doubt may take on a busy machine. It took ConfirmTimeout before, which is
// longer here.
const atOnce = rtetest.Patience / 2

// emptyNode starts a node of a rig that acquires nothing.
func (r *rig) emptyNode(o redis.Options) *rigNode {
	r.t.Helper()
	n := &rigNode{got: map[events.ID]*got{}, lanes: map[string]bool{}, metrics: prometheus.NewRegistry()}
	for _, s := range r.streams {
		n.got[s.topic.Entity] = &got{last: -1}
		n.lanes[s.lane] = true
	}
	o.Catalog, o.Sink, o.Losses, o.Registerer, o.Layout = events.Builtin(), n, n, n.metrics, r.layout
	n.Backplane = mustRun(r.t, o)
	r.nodes = append(r.nodes, n)
	return n
}

// A client that subscribed while Redis was away was refused after 2 s and never learned that it would have succeeded
// later. Now every Acquire succeeds, and every event after it arrives or lies within a reported loss: of lanes that the
// node holds and of new ones, with the node cut off, without an answer, and with Redis frozen, killed and restarted.
func TestFault_acquireWhileAway(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	proxy := rtetest.MustStartProxy(t, server.Addr)
	r := mustRig(t, server, 48)
	o := quick(proxy.Addr)
	o.ConfirmTimeout = rtetest.Patience
	n := r.emptyNode(o)
	waitHealth(t, n.Backplane, true)
	r.publish([tiers]int{tier0: 2000, tier1: 300, tier2: 300})
	rest := slices.Clone(r.streams)
	rand.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	since := map[*stream]time.Time{}
	acquire := func(count int, pause, most time.Duration) {
		t.Helper()
		for _, s := range rest[:count] {
			began := time.Now()
			backplanetest.MustAcquire(t, n, s.topic)
			since[s] = time.Now()
			if took := since[s].Sub(began); took > most {
				t.Errorf("acquire took %s", took)
			}
			lasts(pause)
		}
		rest = rest[count:]
	}
	const anyTime = rtetest.Patience
	acquire(20, 0, anyTime)

	proxy.Refuse(true)
	proxy.Cut()
	acquire(5, 0, anyTime)
	waitHealth(t, n.Backplane, false)
	lasts(200 * time.Millisecond)
	acquire(20, 20*time.Millisecond, atOnce)
	proxy.Refuse(false)
	acquire(10, 10*time.Millisecond, anyTime)
	waitHealth(t, n.Backplane, true)

	proxy.Blackhole()
	acquire(10, 0, anyTime)
	waitHealth(t, n.Backplane, false)
	lasts(200 * time.Millisecond)
	acquire(10, 20*time.Millisecond, atOnce)
	proxy.Cut()
	proxy.Open()
	acquire(10, 10*time.Millisecond, anyTime)
	waitHealth(t, n.Backplane, true)

	server.Freeze()
	waitHealth(t, n.Backplane, false)
	lasts(200 * time.Millisecond)
	acquire(15, 20*time.Millisecond, atOnce)
	server.Thaw()
	acquire(10, 10*time.Millisecond, anyTime)
	waitHealth(t, n.Backplane, true)

	server.Kill()
	waitHealth(t, n.Backplane, false)
	lasts(200 * time.Millisecond)
	acquire(15, 20*time.Millisecond, atOnce)
	server.Start()
	acquire(len(rest), 10*time.Millisecond, anyTime)
	waitHealth(t, n.Backplane, true)
	lasts(500 * time.Millisecond)
	r.stopPublishing()

	missing, first := 0, ""
	for deadline := time.Now().Add(rtetest.Patience); ; lasts(20 * time.Millisecond) {
		missing, first = r.unreported(n, since)
		if missing == 0 || time.Now().After(deadline) {
			break
		}
	}
	if missing > 0 {
		t.Errorf("%d events after Acquire are missing and not reported: %s", missing, first)
	}
	if n.value(t, "rte_backplane_acquired_in_doubt_total") == 0 {
		t.Error("no lane was acquired in doubt")
	}
	waitValue(t, n.metrics, "rte_backplane_lanes", "confirmed", 48)
	t.Logf("%d losses, %.0f lanes acquired in doubt", len(n.losses), n.value(t, "rte_backplane_acquired_in_doubt_total"))
}

// unreported counts the events of streams that were acknowledged and published after the time of their stream, and
// neither arrived at the node nor lie within a loss.
func (r *rig) unreported(n *rigNode, since map[*stream]time.Time) (missing int, first string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	losses := map[string][]backplane.Loss{}
	for _, l := range n.losses {
		losses[l.Lane] = append(losses[l.Lane], l)
	}
	for s, acquired := range since {
		g := n.got[s.topic.Entity]
		for number, acked := range s.acked {
			at := r.made.Add(time.Duration(s.sent[number]) * time.Millisecond)
			arrived := number < len(g.times) && g.times[number] > 0
			if !acked || arrived || at.Before(acquired) || coveredWithin(losses[s.lane], at, 200*time.Millisecond) {
				continue
			}
			if missing++; missing == 1 {
				first = fmt.Sprintf("T%d number %d of lane %s, %s after Acquire", s.tier, number, s.lane, at.Sub(acquired))
			}
		}
	}
	return missing, first
}

// A lane that the node holds was refused, too, while Redis was away.
func TestBackplane_acquiresHeldLaneWhileAway(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	o := quick(server.Addr)
	o.ConfirmTimeout = rtetest.Patience
	b, sink, _ := mustNode(t, o)
	organization := events.NewID()
	held, added := backplanetest.Topic(organization, events.NewID()), backplanetest.Topic(organization, events.NewID())
	backplanetest.MustAcquire(t, b, held)
	server.Kill()
	waitHealth(t, b, false)
	began := time.Now()
	backplanetest.MustAcquire(t, b, added)
	if took := time.Since(began); took > atOnce {
		t.Errorf("acquire took %s", took)
	}
	server.Start()
	waitHealth(t, b, true)
	backplanetest.MustAcquire(t, b, held)
	waitFor(t, "an event of the lane arrives", func() bool {
		backplanetest.MustPublish(t, b, backplanetest.NewEvent(added, 1))
		return sink.Count() > 0
	})
}

// The connections of a node that starts without Redis wait for the first of them.
func TestBackplane_acquiresAtOnceAtStart(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	server.Kill()
	o := quick(server.Addr)
	o.ConfirmTimeout = rtetest.Patience
	o.Catalog, o.Sink = events.Builtin(), backplanetest.NewRecorder()
	b := mustRun(t, o)
	waitFor(t, "an attempt fails", func() bool { return strings.Contains(b.Health().Detail, "refused") })
	for range 20 { // on all connections
		began := time.Now()
		backplanetest.MustAcquire(t, b, backplanetest.Topic(events.NewID(), events.NewID()))
		if took := time.Since(began); took > atOnce {
			t.Errorf("acquire took %s", took)
		}
	}
}

// A lane was acquired while Redis was away, and Redis turns out to refuse it: its subscribers are notified, and again
// when it is permitted.
func TestBackplane_reportsRefusalOfLaneInDoubt(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	proxy := rtetest.MustStartProxy(t, server.Addr)
	mustSetUser(t, server, "node", nodeRules+" resetchannels &rte:hb:* &rte:peer:* ")
	losses := make(lossChannel, 10)
	o := quick(proxy.Addr)
	o.Username, o.Password, o.Losses = "node", "secret", losses
	b, _, _ := mustNode(t, o)
	topic := backplanetest.Topic(events.NewID(), events.NewID())
	if errs := b.Acquire(t.Context(), []events.Topic{topic}); len(errs) != 1 || !errors.Is(errs[0], backplane.ErrRefused) {
		t.Fatalf("acquire: %v", errs)
	}
	proxy.Refuse(true)
	proxy.Cut()
	waitHealth(t, b, false)
	began := time.Now()
	backplanetest.MustAcquire(t, b, topic)
	acquired := time.Now()
	proxy.Refuse(false)
	for _, what := range []string{"refused", "permitted"} {
		loss := losses.wait(t)
		if loss.Organization != topic.Organization || loss.From.Before(began) || loss.From.After(acquired) {
			t.Errorf("%s: loss is %+v, acquired at %s", what, loss, acquired)
		}
		mustSetUser(t, server, "node", "&rte:org:*")
	}
}

// lossChannel passes losses on.
type lossChannel chan backplane.Loss

func (c lossChannel) Lost(loss backplane.Loss) { c <- loss }

func (c lossChannel) wait(t testing.TB) backplane.Loss {
	t.Helper()
	select {
	case loss := <-c:
		return loss
	case <-time.After(rtetest.Patience):
		t.Fatal("no loss is reported")
		return backplane.Loss{}
	}
}
