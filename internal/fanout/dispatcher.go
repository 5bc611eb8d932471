package fanout

import (
	"context"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/subscriptions"
	"github.com/rte-server/rte-server/internal/trace"
)

// Dispatcher delivers events to the outboxes that subscribe to their topics. It owns the registry of subscriptions;
// each Outbox acquires its subscriptions from there. Any goroutine may call its methods.
type Dispatcher struct {
	options  Options
	metrics  *metrics
	registry *registry
	shards   []*Shard
	accounts *accounts
	held     heldStates
	quota    atomic.Int64               // events per second of an organization; 0: none
	total    backlog                    // of all organizations
	started  time.Time                  // origin of the clock of the quotas
	stopped  chan struct{}              // closed when the context of Run ends
	opened   atomic.Uint64              // outboxes, to spread them over the shards
	open     [numProtocols]atomic.Int64 // outboxes by protocol: events are not encoded for a protocol without one
}

// New returns a Dispatcher that does nothing until Run. Its errors name the option that is wrong.
func New(o Options) (*Dispatcher, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	d := &Dispatcher{
		options: o, registry: subscriptions.NewRegistry(newOrganization), accounts: newAccounts(), held: newHeldStates(),
		total:   newBacklog(),
		started: time.Now(), stopped: make(chan struct{}),
	}
	d.quota.Store(int64(o.Flow.Quota))
	d.metrics = newMetrics(o.Registerer, d)
	for i := range o.Shards {
		d.shards = append(d.shards, newShard(i, d))
	}
	return d, nil
}

// Run runs the shards until ctx ends. All outboxes end then, without a last frame: close them before.
func (d *Dispatcher) Run(ctx context.Context) error {
	var running sync.WaitGroup
	running.Go(func() {
		<-ctx.Done()
		close(d.stopped)
	})
	for _, s := range d.shards {
		running.Go(func() { s.run(ctx) })
	}
	running.Go(func() { d.releaseHeld(ctx) })
	running.Wait()
	return nil
}

// Open returns an outbox that writes to w. Once Run has ended, the outbox has ended too, and w.Ended has been called.
func (d *Dispatcher) Open(w Writer, p Protocol) *Outbox { return d.openOutbox(w, p, nil) }

func (d *Dispatcher) openOutbox(w Writer, p Protocol, r *resumption) *Outbox {
	number := d.opened.Add(1)
	s := d.shards[number%uint64(len(d.shards))]
	o := &Outbox{
		shard: s, writer: w, protocol: p, number: uint32(number), //nolint:gosec // repeats after 4 billion
		resumption: r,
	}
	d.open[p].Add(1)
	if !s.inbox.put(&command{kind: commandOpen, outbox: o}) {
		d.open[p].Add(-1)
		w.Ended(EndClosed)
	}
	return o
}

// Topics returns the number of topics with subscriptions. It locks each part of the registry in turn.
func (d *Dispatcher) Topics() int { return d.registry.Len() }

// EachTopic calls yield with each topic and the approximate number of its subscribers, until yield returns false. It
// takes no lock, and time in proportion to the number of topics.
func (d *Dispatcher) EachTopic(yield func(topic events.Topic, subscribers int) bool) {
	d.registry.All(func(e *Entry) bool {
		_, subscribers := e.Shards()
		return yield(e.Topic(), subscribers)
	})
}

// Wants reports whether a topic has subscribers on this node. It takes no lock and allocates nothing. Call it to
// save the work of decoding an event: if it returns false, the event counts as dispatched without subscribers.
func (d *Dispatcher) Wants(topic events.Topic) bool {
	if entry := d.registry.Find(topic); entry != nil {
		if mask, _ := entry.Shards(); mask != 0 {
			return true
		}
	}
	d.metrics.unmatched.Inc()
	d.metrics.byType.of(topic.Type, false).Inc()
	return false
}

// Dispatch delivers ev to every outbox that subscribes to its topic. It never waits for a client. It waits only while
// too many deliveries of the event's organization are under way, or while its quota is used up: dispatch the events of
// each organization from a goroutine of their own. Events of one topic that come from one goroutine stay in order.
// Dispatch keeps ev.Data.
func (d *Dispatcher) Dispatch(ev *events.Event) { d.dispatch(ev, true) }

// Offer dispatches ev unless Dispatch would wait. In that case it does nothing and returns false. It is for callers
// that have events of several organizations at hand.
func (d *Dispatcher) Offer(ev *events.Event) (taken bool) { return d.dispatch(ev, false) }

func (d *Dispatcher) dispatch(ev *events.Event, wait bool) (taken bool) {
	entry := d.registry.Find(ev.Topic)
	var mask uint32
	var subscribers int
	if entry != nil {
		mask, subscribers = entry.Shards()
	}
	if mask == 0 {
		d.metrics.unmatched.Inc()
		d.metrics.byType.of(ev.Type, false).Inc()
		d.recordUnmatched(ev)
		return true
	}
	now := time.Now()
	b := &broadcast{
		id:      ev.ID,
		entry:   entry,
		cost:    costPerShard(mask, subscribers),
		limit:   d.options.Flow.limit(subscribers),
		expires: d.options.Expires(ev),

		arrived: ev.Arrived, published: ev.Timestamp,
	}
	if b.arrived.IsZero() {
		b.arrived = now
	}
	if b.expired(now) {
		d.metrics.expired.Inc()
		d.record(ev, now, trace.Expired, subscribers)
		return true
	}
	b.key, b.state = d.options.State(ev)
	organization := entry.Organization()
	if !wait && (organization.backlog.full(b.limit) || d.total.full(d.options.Flow.totalLimit())) {
		return false
	}
	if d.quota.Load() > 0 || d.held.total.Load() > 0 {
		if dispatch, taken := d.admit(b, ev, wait); !dispatch {
			return taken
		}
	}
	d.send(b, ev, mask, subscribers, now, wait)
	return true
}

// arrival returns when an event arrived: now if the backplane did not record it. Reading the clock costs as much as
// finding out that an event has no subscribers.
func arrival(ev *events.Event) time.Time {
	if ev.Arrived.IsZero() {
		return time.Now()
	}
	return ev.Arrived
}

// costPerShard returns the deliveries that an event adds to the backlog for each shard in mask.
func costPerShard(mask uint32, subscribers int) int64 {
	return max(int64(subscribers/bits.OnesCount32(mask)), 1)
}

// send encodes an event and puts it into the inboxes of shards. With wait it waits for room in the backlog first.
func (d *Dispatcher) send(
	b *broadcast, ev *events.Event, mask uint32, subscribers int, now time.Time, wait bool,
) {
	organization := b.entry.Organization()
	// Encode after the wait: meanwhile the first connection of a protocol may have opened.
	if wait && (organization.backlog.wait(b.limit, d.stopped) || d.total.wait(d.options.Flow.totalLimit(), d.stopped)) {
		d.metrics.stalls.Inc()
		now = time.Now()
	}
	if err := d.encode(b, ev); err != nil {
		d.metrics.malformed.Inc()
		d.record(ev, now, trace.Malformed, subscribers)
		d.options.Malformed(ev, err)
		return
	}
	d.metrics.matched.Inc()
	d.metrics.byType.of(ev.Type, true).Inc()
	organization.events.Add(1)
	d.record(ev, now, trace.Matched, subscribers)
	for ; mask != 0; mask &= mask - 1 {
		s := d.shards[bits.TrailingZeros32(mask)]
		organization.backlog.add(b.cost)
		d.total.add(b.cost)
		s.inbox.put(&command{kind: commandEvent, broadcast: b})
	}
}

// encode makes a frame for each protocol with an open connection.
func (d *Dispatcher) encode(b *broadcast, ev *events.Event) (err error) {
	for p, encoder := range [numPlain]Encoder{d.options.JSON, d.options.MessagePack} {
		deflated := Protocol(p).Deflated()
		plain, compress := d.open[p].Load() > 0, d.open[deflated].Load() > 0
		if !plain && !compress || encoder == nil {
			continue
		}
		frame, err := encoder.Encode(ev)
		if err != nil {
			return err
		}
		if plain {
			b.setFrame(Protocol(p), frame)
		}
		if compress {
			b.setFrame(deflated, d.options.Deflate(frame))
		}
	}
	return nil
}
