package fanout

import (
	"context"
	"errors"
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/subscriptions"
)

// Options are what a Dispatcher needs. Zero values of the numbers are replaced by the defaults that the fields name.
type Options struct {
	// Registry says which shards listen to a topic. Required.
	Registry *subscriptions.Registry
	// JSON and MessagePack make the frames. Required, except MessagePack where nobody speaks it.
	JSON, MessagePack Encoder
	// State says whether a newer event makes ev worthless, and what it is the state of within its topic (zero where
	// the topic says it all). nil: no event is ever conflated.
	State func(ev *events.Event) (key events.ID, ok bool)
	// Expires says when nobody wants ev any more; zero: never. nil: no event ever expires.
	Expires func(ev *events.Event) time.Time

	// Malformed is told of events that could not be encoded, and why. nil: they are only counted.
	Malformed func(ev *events.Event, err error)

	// Shards is the number of goroutines that write. Default: one less than GOMAXPROCS, at most subscriptions.MaxShards. A
	// busy shard never waits, and while every processor of the runtime is busy it looks at the network only every 10 ms.
	Shards int
	// OutboxBytes is how much may wait behind one full socket before its session ends as slow. What counts is the memory
	// that frames take, some 100 bytes more than they have; one frame that is no event and larger than WriteBytes, the
	// answer to a call, does not. Default: 1 MiB.
	OutboxBytes int
	// OutboxAge is how long a frame may wait behind a full socket before its session ends as slow. Default: 30 s.
	OutboxAge time.Duration
	// WriteBytes is how much is collected for one write at most (a single larger frame apart). Default: 64 KiB,
	// above which writing more at once gains nothing: the kernel's copying is then the bill.
	WriteBytes int
	// Backlog is how many deliveries may wait for the listeners of one organization before Dispatch of its next
	// event waits, or those of four events of the topic, if that is more. Default: 16,384, which is some 15 ms of one
	// core: more of them make writes larger and latency longer. Ten times as much may wait for all organizations.
	Backlog int64
	// Quota is how many events per second the listeners of one organization are sent; above it its states are held back,
	// where newer ones replace them, and Dispatch of other events waits. A second's worth may come at once. 0: no limit.
	Quota int
	// Rest is how long the events of an organization may be held back at most, so that one write to a client carries
	// several of them: for twice as long as the writes before took, where those carried several, and never the first
	// event after a pause. 0: not at all.
	Rest time.Duration
	// Tick is the resolution of keep-alive. Default: 1 s.
	Tick time.Duration

	// Registerer receives the metrics. nil: none are kept.
	Registerer prometheus.Registerer

	offer func() // is offerProcessor, but in tests
}

func (o *Options) setDefaults() {
	setDefault(&o.Shards, min(max(runtime.GOMAXPROCS(0)-1, 1), subscriptions.MaxShards))
	setDefault(&o.OutboxBytes, 1<<20)
	setDefault(&o.OutboxAge, 30*time.Second)
	setDefault(&o.WriteBytes, 64<<10)
	setDefault(&o.Backlog, 1<<14)
	setDefault(&o.Tick, time.Second)
	if o.offer == nil {
		o.offer = offerProcessor
	}
	if o.State == nil {
		o.State = func(*events.Event) (events.ID, bool) { return events.ID{}, false }
	}
	if o.Expires == nil {
		o.Expires = func(*events.Event) time.Time { return time.Time{} }
	}
	if o.Malformed == nil {
		o.Malformed = func(*events.Event, error) {}
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// minBacklog is for how many events of one topic there is always room: with less, writes to its listeners carry one or
// two and cost several times as much per event.
const minBacklog = 4

// backlogOf is how many deliveries may wait when an event for so many listeners comes.
func (o *Options) backlogOf(listeners int) int64 { return max(o.Backlog, minBacklog*int64(listeners)) }

// backlogTotal is how many deliveries may wait for all organizations together.
func (o *Options) backlogTotal() int64 { return 10 * o.Backlog }

// Dispatcher brings events to the outboxes of their listeners. Its methods may be called from any goroutine.
type Dispatcher struct {
	options Options
	metrics *metrics
	shards  []*Shard
	held    held
	total   subscriptions.Backlog
	started time.Time                  // what quotas count from
	stopped chan struct{}              // closed when Run is over or about to be
	opened  atomic.Uint64              // outboxes, to spread them over the shards
	open    [numProtocols]atomic.Int64 // outboxes by protocol: nothing is encoded that nobody speaks
}

// New makes a Dispatcher. Nothing moves before Run.
func New(o Options) (*Dispatcher, error) {
	o.setDefaults()
	if o.Registry == nil || o.JSON == nil {
		return nil, errors.New("fanout needs a registry and an encoder")
	}
	if o.Quota < 0 {
		return nil, errors.New("fanout: the quota must not be negative")
	}
	if o.Shards < 1 || o.Shards > subscriptions.MaxShards {
		return nil, errors.New("fanout: the number of shards must be between 1 and 32")
	}
	d := &Dispatcher{options: o, total: subscriptions.NewBacklog(), stopped: make(chan struct{}), started: time.Now()}
	d.held.wake, d.held.owners = make(chan struct{}, 1), map[*subscriptions.Owner]*heldStates{}
	d.metrics = newMetrics(o.Registerer, d)
	for i := range o.Shards {
		d.shards = append(d.shards, newShard(i, d))
	}
	return d, nil
}

// Run runs the shards until ctx ends. Then all outboxes end without a last word: close them before.
func (d *Dispatcher) Run(ctx context.Context) error {
	var running sync.WaitGroup
	running.Go(func() {
		<-ctx.Done()
		close(d.stopped)
	})
	for _, s := range d.shards {
		running.Go(func() { s.run(ctx) })
	}
	if d.options.Quota > 0 {
		running.Go(func() { d.release(ctx) })
	}
	running.Wait()
	return nil
}

// Open makes an outbox that writes to w. When the dispatcher has stopped, the outbox has ended: w.Ended has been called.
func (d *Dispatcher) Open(w Writer, p Protocol) *Outbox {
	s := d.shards[d.opened.Add(1)%uint64(len(d.shards))]
	o := &Outbox{shard: s, writer: w, protocol: p}
	d.open[p].Add(1)
	if !s.inbox.put(&item{kind: itemOpen, box: o}) {
		d.open[p].Add(-1)
		w.Ended(EndClosed)
	}
	return o
}

// Wants says whether anybody listens to a topic. It takes no lock and allocates nothing, and is for those who can save
// the work of making an event: one that is given up because of it counts as unheard.
func (d *Dispatcher) Wants(topic events.Topic) bool {
	if entry := d.options.Registry.Find(topic); entry != nil {
		if mask, _ := entry.Shards(); mask != 0 {
			return true
		}
	}
	d.metrics.unheard.Inc()
	return false
}

// Dispatch brings ev to every outbox that listens to its topic. It waits for no client, only, when too much is already
// under way for the event's organization, until the shards have caught up, and where there is a quota until it has room:
// let each organization's events come from a goroutine of its own. Events of one topic stay in order if they come from
// one goroutine. It keeps ev.Data.
func (d *Dispatcher) Dispatch(ev *events.Event) { d.dispatch(ev, true) }

// Offer is Dispatch for those who have events of several organizations at hand: where that would wait it does nothing,
// and says so by false.
func (d *Dispatcher) Offer(ev *events.Event) (taken bool) { return d.dispatch(ev, false) }

func (d *Dispatcher) dispatch(ev *events.Event, wait bool) (taken bool) {
	entry := d.options.Registry.Find(ev.Topic)
	if entry == nil {
		d.metrics.unheard.Inc()
		return true
	}
	mask, listeners := entry.Shards()
	if mask == 0 {
		d.metrics.unheard.Inc()
		return true
	}
	b := &broadcast{
		entry:   entry,
		cost:    costOf(mask, listeners),
		limit:   d.options.backlogOf(listeners),
		expires: d.options.Expires(ev),
	}
	if !b.expires.IsZero() && b.expired(time.Now()) {
		d.metrics.expired.Inc()
		return true
	}
	b.key, b.state = d.options.State(ev)
	owner := entry.Owner()
	if !wait && (owner.Backlog.Full(b.limit) || d.total.Full(d.options.backlogTotal())) {
		return false
	}
	if d.options.Quota > 0 {
		if dispatch, taken := d.meter(b, ev, wait); !dispatch {
			return taken
		}
	}
	d.send(b, ev, mask, wait)
	return true
}

// costOf is what an event adds to the backlog of each shard in mask.
func costOf(mask uint32, listeners int) int64 {
	return max(int64(listeners/bits.OnesCount32(mask)), 1)
}

// send makes the frames of an event and gives them to shards, when there is room or at once.
func (d *Dispatcher) send(b *broadcast, ev *events.Event, mask uint32, wait bool) {
	owner := b.entry.Owner()
	// The frames are made behind the wait, for a protocol that somebody may have begun to speak meanwhile.
	if wait && (owner.Backlog.Wait(b.limit, d.stopped) || d.total.Wait(d.options.backlogTotal(), d.stopped)) {
		d.metrics.stalls.Inc()
	}
	if err := d.encode(b, ev); err != nil {
		d.metrics.malformed.Inc()
		d.options.Malformed(ev, err)
		return
	}
	d.metrics.heard.Inc()
	for ; mask != 0; mask &= mask - 1 {
		s := d.shards[bits.TrailingZeros32(mask)]
		owner.Backlog.Add(b.cost)
		d.total.Add(b.cost)
		s.inbox.put(&item{kind: itemEvent, broadcast: b})
	}
}

// encode makes the frames of the protocols that somebody speaks.
func (d *Dispatcher) encode(b *broadcast, ev *events.Event) (err error) {
	for p, encoder := range [numProtocols]Encoder{d.options.JSON, d.options.MessagePack} {
		if d.open[p].Load() == 0 || encoder == nil {
			continue
		}
		if b.frames[p], err = encoder.Encode(ev); err != nil {
			return err
		}
	}
	return nil
}
