package node

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/console"
	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/transport"
)

// The actions of a drainer.
const (
	actionDrain = "drain"
	actionShed  = "shed"
	actionStop  = "stop"
	actionNone  = "none"
)

// drainer sends clients of this node to others: all, when an operator drains the node, or some, when it sheds. There is
// one such action at a time. It implements console.Drainer.
type drainer struct {
	config    func() *config.Config // in force
	hub       *hub.Hub
	transport *transport.Handler
	relay     *nodeRelay // nil: none
	readiness *console.Readiness
	peers     *peers
	own       func() announcement
	logger    *zap.Logger
	held      prometheus.Gauge
	reason    atomic.Pointer[string] // why the action pauses; nil: it does not
	running   sync.WaitGroup
	final     atomic.Bool // the node stops

	mu      sync.Mutex
	current *departure // guarded by mu; nil: none
	stopped bool       // guarded by mu
}

// departure is an action under way.
type departure struct {
	action    string
	leaving   int
	over      time.Duration
	automatic bool // rebalancing began it
	cancel    context.CancelFunc
	done      chan struct{} // closed at its end
}

func (d *drainer) register(reg prometheus.Registerer) {
	auto := promauto.With(reg)
	d.held = auto.NewGauge(prometheus.GaugeOpts{
		Name: "rte_node_drain_held",
		Help: "1 while a drain or a shed pauses because Redis is away or another node is not ready.",
	})
	leaving := func(action string) func() float64 {
		return func() float64 {
			if now := d.Departure(); now.Action == action {
				return float64(now.Leaving)
			}
			return 0
		}
	}
	for _, action := range []string{actionDrain, actionShed} {
		auto.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "rte_node_leaving_connections",
			Help:        "Connections that the drain or the shed under way closes in all.",
			ConstLabels: prometheus.Labels{"action": action},
		}, leaving(action))
	}
}

// Drain implements console.Drainer.
func (d *drainer) Drain(over time.Duration) error {
	if over == 0 {
		over = d.config().Shutdown.Drain
	}
	next := &departure{action: actionDrain, leaving: d.hub.Sessions().Len(), over: over}
	return d.begin(next, func(ctx context.Context) { d.drain(ctx, over) })
}

// Shed implements console.Drainer.
func (d *drainer) Shed(connections int, over time.Duration) error {
	return d.shed(connections, over, false)
}

// shed begins a shed.
func (d *drainer) shed(connections int, over time.Duration, automatic bool) error {
	leaving := min(connections, d.hub.Sessions().Len())
	next := &departure{action: actionShed, leaving: leaving, over: over, automatic: automatic}
	return d.begin(next, func(ctx context.Context) {
		closed := d.hub.Shed(ctx, leaving, hub.CloseShed, d.pace(over, d.config().Shutdown.Wait))
		d.logger.Info("shed", zap.Int("closed", closed), zap.Int("connections", d.hub.Sessions().Len()),
			zap.Bool("automatic", automatic))
	})
}

// CancelDrain implements console.Drainer.
func (d *drainer) CancelDrain() { d.cancel(func(c *departure) bool { return c.action == actionDrain }) }

// CancelShed implements console.Drainer.
func (d *drainer) CancelShed() { d.cancel(func(c *departure) bool { return c.action == actionShed }) }

// cancelAutomatic ends a shed that rebalancing began.
func (d *drainer) cancelAutomatic() { d.cancel(func(c *departure) bool { return c.automatic }) }

// cancel ends the action under way if it matches, and waits for its end.
func (d *drainer) cancel(match func(*departure) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.current != nil && match(d.current) {
		d.endLocked()
	}
}

// endLocked ends the action under way. It needs mu, which no action takes before its end.
func (d *drainer) endLocked() {
	d.current.cancel()
	<-d.current.done
	d.current = nil
}

// begin begins an action. A drain ends a shed, and does nothing while another drain is under way.
func (d *drainer) begin(next *departure, work func(context.Context)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch c := d.current; {
	case d.stopped:
		return console.ErrDeparture
	case c == nil:
	case next.action != actionDrain:
		return console.ErrDeparture
	case c.action == actionDrain:
		return nil
	default:
		d.endLocked()
	}
	ctx, cancel := context.WithCancel(context.Background())
	next.cancel, next.done = cancel, make(chan struct{})
	d.current = next
	d.running.Go(func() {
		work(ctx)
		cancel()
		d.held.Set(0)
		d.reason.Store(nil)
		close(next.done)
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.current == next {
			d.current = nil
		}
	})
	return nil
}

// drain makes load balancers send clients to other nodes, closes all connections, and refuses new ones until ctx ends.
func (d *drainer) drain(ctx context.Context, over time.Duration) {
	d.readiness.Pause(true)
	defer d.readiness.Pause(false)
	d.logger.Info("draining", zap.Int("connections", d.hub.Sessions().Len()))
	select {
	case <-time.After(d.config().Shutdown.Delay):
	case <-ctx.Done():
		return
	}
	d.transport.Pause()
	defer d.resume()
	d.running.Go(func() { d.relay.move(ctx, over) })
	for rest := over; ctx.Err() == nil && d.hub.Sessions().Len() > 0; rest = time.Second {
		d.hub.Shed(ctx, math.MaxInt, hub.CloseDrain, d.pace(rest, d.config().Shutdown.Wait))
		// Handshakes that were under way get the second.
	}
	d.logger.Info("drained", zap.Int("connections", d.hub.Sessions().Len()), zap.Bool("cancelled", ctx.Err() != nil))
	<-ctx.Done()
}

// resume lets clients connect again, unless the node stops.
func (d *drainer) resume() {
	if !d.final.Load() {
		d.transport.Resume()
	}
}

// stop ends the action under way and refuses others. The node calls it when it stops.
func (d *drainer) stop() {
	d.final.Store(true)
	d.mu.Lock()
	d.stopped = true
	if d.current != nil {
		d.endLocked()
	}
	d.mu.Unlock()
	d.running.Wait()
}

// run stops the drainer when ctx ends.
func (d *drainer) run(ctx context.Context) error {
	<-ctx.Done()
	d.stop()
	return nil
}

// pace returns the pace of an action, which pauses for wait at most.
func (d *drainer) pace(over, wait time.Duration) hub.Pace {
	var (
		total time.Duration // of all pauses
		last  time.Time     // of the previous question, if the answer was yes
	)
	return hub.Pace{Over: over, Hold: func() bool {
		now, reason := time.Now(), d.peers.holds()
		if !last.IsZero() {
			total += now.Sub(last)
		}
		switch {
		case reason != "" && total < wait:
			if last.IsZero() {
				d.logger.Warn("connections are not closed for now", zap.String("reason", reason))
				d.held.Set(1)
			}
			last = now
			d.reason.Store(&reason)
			return true
		case !last.IsZero():
			d.logger.Info("connections are closed again", zap.Duration("paused", total), zap.String("still", reason))
			d.held.Set(0)
			last = time.Time{}
			d.reason.Store(nil)
		}
		return false
	}}
}

// Departure implements console.Drainer.
func (d *drainer) Departure() console.Departure {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := console.Departure{Action: actionNone, Connections: d.hub.Sessions().Len()}
	switch {
	case d.stopped:
		now.Action = actionStop
	case d.current != nil:
		now.Action, now.Leaving, now.OverSeconds = d.current.action, d.current.leaving, d.current.over.Seconds()
	}
	if reason := d.reason.Load(); reason != nil {
		now.Held = *reason
	}
	return now
}

// Nodes implements console.Drainer.
func (d *drainer) Nodes() []console.PeerNode {
	own := d.own()
	nodes := []console.PeerNode{{ID: own.Node, State: own.State, Connections: own.Connections}}
	return append(nodes, d.peers.views(time.Now())...)
}
