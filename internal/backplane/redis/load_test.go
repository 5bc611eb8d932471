package redis_test

import (
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/backplanetest"
	"github.com/rte-server/rte-server/internal/backplane/redis"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// gate is a Sink that waits with the events of one organization until it is opened.
type gate struct {
	*backplanetest.Recorder
	organization events.ID
	opened       chan struct{}

	mu     sync.Mutex
	losses []backplane.Loss // guarded by mu
}

func newGate(organization events.ID) *gate {
	return &gate{Recorder: backplanetest.NewRecorder(), organization: organization, opened: make(chan struct{})}
}

func (g *gate) Dispatch(ev *events.Event) {
	if ev.Organization == g.organization {
		<-g.opened
	}
	g.Recorder.Dispatch(ev)
}

func (g *gate) Lost(loss backplane.Loss) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.losses = append(g.losses, loss)
}

// lost returns how many losses an organization had.
func (g *gate) lost(organization events.ID) (count int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range g.losses {
		if l.Organization == organization {
			count++
		}
	}
	return count
}

// gated is a node with more lanes of a busy organization than workers, and with lanes of two others.
type gated struct {
	t       *testing.T
	gate    *gate
	metrics *prometheus.Registry
	client  *goredis.Client
	layout  backplane.Layout
	busy    []events.Topic
	others  []events.Topic
}

func newGated(t *testing.T, o redis.Options) *gated {
	server := rtetest.MustStartRedis(t)
	g := &gated{t: t, client: server.Client(), metrics: prometheus.NewRegistry(), layout: backplane.Layout{Lanes: 4}}
	t.Cleanup(func() { _ = g.client.Close() })
	organization := events.NewID()
	for range 16 {
		g.busy = append(g.busy, backplanetest.Topic(organization, events.NewID()))
	}
	for range 2 {
		g.others = append(g.others, backplanetest.Topic(events.NewID(), events.NewID()))
	}
	g.gate = newGate(organization)
	o.Addresses, o.Workers = []string{server.Addr}, 2
	o.Catalog, o.Sink, o.Losses, o.Registerer, o.Layout = events.Builtin(), g.gate, g.gate, g.metrics, g.layout
	b := mustRun(t, o)
	t.Cleanup(g.open) // else the node would not end
	waitHealth(t, b, true)
	backplanetest.MustAcquire(t, b, append(g.busy, g.others...)...)
	return g
}

func (g *gated) open() {
	select {
	case <-g.gate.opened:
	default:
		close(g.gate.opened)
	}
}

// publish publishes the numbers of a range on each of the topics.
func (g *gated) publish(topics []events.Topic, from, to, padding int) {
	g.t.Helper()
	pipe := g.client.Pipeline()
	for number := from; number < to; number++ {
		for _, topic := range topics {
			ev := backplanetest.NewEvent(topic, number)
			ev.Padding = padding
			pipe.Publish(g.t.Context(), g.layout.Lane(topic.Organization, topic.Entity), ev.JSON())
		}
	}
	if _, err := pipe.Exec(g.t.Context()); err != nil {
		g.t.Fatalf("publish: %v", err)
	}
}

// inOrder fails unless a topic's events arrived once each and in order.
func (g *gated) inOrder(topics []events.Topic, count int) {
	g.t.Helper()
	next := map[events.Topic]int{}
	for _, a := range g.gate.Arrivals() {
		if a.Number != next[a.Topic] {
			g.t.Fatalf("%s: event %d came after %d", a.Topic.Entity, a.Number, next[a.Topic]-1)
		}
		next[a.Topic]++
	}
	for _, topic := range topics {
		if next[topic] != count {
			g.t.Errorf("%s: %d events arrived, want %d", topic.Entity, next[topic], count)
		}
	}
}

// The fan-out waits with the events of an organization that has too many deliveries under way. The events of others go
// on.
func TestBackplane_waitingSinkHoldsUpOneOrganization(t *testing.T) {
	g := newGated(t, redis.Options{})
	g.publish(g.busy, 0, 50, 0)
	waitFor(t, "a worker is kept waiting", func() bool {
		return (&rigNode{metrics: g.metrics}).value(t, "rte_backplane_stalled_workers") > 0
	})
	for number := range 20 {
		g.publish(g.others, number, number+1, 0)
		g.gate.Wait(t, 2*(number+1))
	}
	g.open()
	g.gate.Wait(t, 50*len(g.busy)+20*len(g.others))
	g.inOrder(g.busy, 50)
	g.inOrder(g.others, 20)
	waitValue(t, g.metrics, "rte_backplane_stalled_workers", "", 0)
}

// The queue of one organization is bounded, and leaves room for the others.
func TestBackplane_organizationQueueFull(t *testing.T) {
	g := newGated(t, redis.Options{TotalQueue: 4 << 20})
	g.publish(g.busy, 0, 100, 8<<10) // 13 MB
	g.publish(g.others, 0, 100, 8<<10)
	g.gate.Wait(t, 100*len(g.others))
	g.inOrder(g.others, 100)
	if n := g.gate.lost(g.others[0].Organization) + g.gate.lost(g.others[1].Organization); n > 0 {
		t.Errorf("%d losses of the others were reported", n)
	}
	g.open()
	waitFor(t, "the loss is reported", func() bool { return g.gate.lost(g.gate.organization) > 0 })
	if n := (&rigNode{metrics: g.metrics}).value(t, "rte_backplane_overflow_total", "organization"); n == 0 {
		t.Error("the bound of the organization was not reached")
	}
}
