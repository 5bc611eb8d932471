package redis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

// Backplane brings the events that are published to a Redis to this node, and publishes. Its methods may be called
// from any goroutine, also while Redis is away.
type Backplane struct {
	options  Options
	node     string // tells this node's canaries from those of others
	receiver *backplane.Receiver
	logger   *zap.Logger
	log      *backplane.Throttle
	metrics  *metrics

	table     *table
	scheduler *scheduler
	queued    atomic.Int64 // bytes of messages that wait for a worker
	epochs    atomic.Uint64
	healthy   atomic.Bool // the present epoch heard a canary, so that the next one need not wait

	commands goredis.UniversalClient

	mu     sync.Mutex
	health backplane.Health // guarded by mu
}

var _ backplane.Backplane = (*Backplane)(nil)

// New makes a Backplane. It connects when it runs.
func New(o Options) (*Backplane, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	b := &Backplane{
		options:   o,
		node:      events.NewID().String(),
		receiver:  backplane.NewReceiver(o.Options),
		logger:    o.Logger,
		log:       backplane.NewThrottle(o.Logger),
		table:     newTable(o.Linger),
		scheduler: newScheduler(),
		commands:  o.newCommands(),
		health:    backplane.Health{Detail: "not connected yet"},
	}
	b.metrics = newMetrics(o.Registerer, b)
	return b, nil
}

// Run receives until ctx ends. It may be called once.
func (b *Backplane) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	count := b.options.Workers
	if count == 0 {
		count = runtime.GOMAXPROCS(0)
	}
	for range count {
		workers.Go(b.work)
	}
	var sweeper sync.WaitGroup
	sweeper.Go(func() { b.sweep(ctx) })
	b.connect(ctx)
	sweeper.Wait()
	b.scheduler.close()
	workers.Wait()
	return b.commands.Close()
}

// Back-off between two epochs. The first steps are small, as most reasons for an epoch to end are over at once; the
// steps are large, so that a Redis that comes back is not met by a storm: 6 dials in the first 3 s, then 2 per 3 s.
const (
	backoffFirst  = 20 * time.Millisecond
	backoffLast   = 2 * time.Second
	backoffFactor = 3
)

// connect lives one epoch after the other.
func (b *Backplane) connect(ctx context.Context) {
	backoff := backoffFirst
	for ctx.Err() == nil {
		err := b.epoch(ctx)
		b.table.reset()
		if ctx.Err() != nil {
			return
		}
		b.setHealth(false, err.Error())
		b.metrics.ended(err)
		b.log.Warn("redis connection ended", func() []zap.Field { return []zap.Field{zap.Error(err)} })
		if b.healthy.Swap(false) {
			backoff = backoffFirst
		}
		wait := backoff/2 + rand.N(backoff/2) //nolint:gosec // jitter
		backoff = min(backoff*backoffFactor, backoffLast)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// epoch connects and stays connected as long as nothing is in doubt.
func (b *Backplane) epoch(ctx context.Context) error {
	address := b.options.Addresses[0]
	if b.options.SentinelMaster != "" {
		var err error
		if address, err = b.options.master(ctx); err != nil {
			return end(endDial, "%w", err)
		}
	}
	conn, err := b.options.openSubscriber(ctx, address)
	if err != nil {
		return end(endDial, "%w", err)
	}
	number := b.epochs.Add(1)
	b.logger.Info("redis connected", zap.String("address", address), zap.Uint64("epoch", number))
	return newEpoch(b, conn, fmt.Sprintf("rte:hb:%s:%d", b.node, number)).run(ctx)
}

// sweep gives up lanes that have lingered, and asks again for those that were refused.
func (b *Backplane) sweep(ctx context.Context) {
	linger := time.NewTicker(max(b.options.Linger/8, time.Millisecond))
	defer linger.Stop()
	retry := time.NewTicker(5 * time.Second)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-linger.C:
			b.table.expire(now)
		case <-retry.C:
			b.table.retry()
		}
	}
}

// offer puts a message into the mailbox of its lane. If the node has fallen too far behind, the message is lost and
// counted.
func (b *Backplane) offer(l *lane, m message) {
	size := int64(m.size())
	if b.queued.Add(size) > int64(b.options.TotalQueue) {
		b.queued.Add(-size)
		b.metrics.overflow.WithLabelValues("total").Inc()
		return
	}
	ok, schedule := l.mailbox.put(m, b.options.LaneQueue)
	if !ok {
		b.queued.Add(-size)
		b.metrics.overflow.WithLabelValues("lane").Inc()
		return
	}
	if schedule {
		b.scheduler.add(l)
	}
}

// work hands the events of one lane after the other to the sink.
func (b *Backplane) work() {
	for l := b.scheduler.next(); l != nil; l = b.scheduler.next() {
		messages, bytes := l.mailbox.take()
		if len(messages) == 0 {
			continue
		}
		for i := range messages {
			b.deliver(l, &messages[i])
		}
		b.queued.Add(-int64(bytes))
		l.mailbox.give(messages)
		b.scheduler.add(l)
	}
}

// deliver hands the event of a message to the sink.
func (b *Backplane) deliver(l *lane, m *message) {
	if m.tooLong > 0 {
		b.receiver.Refuse(l.organization, m.tooLong, events.ReasonTooLarge)
		return
	}
	_, data, err := backplane.ParseMessage(m.payload)
	if err != nil {
		b.receiver.Refuse(l.organization, len(m.payload), err)
		return
	}
	if ev, ok := b.receiver.Decode(l.organization, data); ok {
		b.receiver.Dispatch(&ev)
	}
}

// refused records lanes that the server does not allow.
func (b *Backplane) refused(lanes []*lane, text string) {
	b.table.refuse(lanes, fmt.Errorf("%w: %s", backplane.ErrRefused, text))
	if len(lanes) == 1 {
		b.log.Warn("lane refused", func() []zap.Field {
			return []zap.Field{zap.String("lane", lanes[0].name), zap.String("answer", text)}
		})
	}
}

// Acquire waits until the lanes of the topics are confirmed.
func (b *Backplane) Acquire(ctx context.Context, topics []events.Topic) []error {
	names, counts := b.lanes(topics)
	lanes := make(map[string]*lane, len(counts))
	for name, n := range counts {
		lanes[name] = b.table.acquire(name, n)
	}
	ctx, cancel := context.WithTimeout(ctx, b.options.ConfirmTimeout)
	defer cancel()
	var failed map[string]error
	for name, l := range lanes {
		if err := b.confirmed(ctx, l); err != nil {
			if failed == nil {
				failed = map[string]error{}
			}
			failed[name] = err
			b.table.release(name, counts[name])
			b.metrics.unconfirmed.Inc()
		}
	}
	if failed == nil {
		return nil
	}
	errs := make([]error, len(topics))
	for i, name := range names {
		errs[i] = failed[name]
	}
	return errs
}

// confirmed waits until a lane is confirmed.
func (b *Backplane) confirmed(ctx context.Context, l *lane) error {
	for {
		done, err, changed := b.table.state(l)
		if done {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%w: lane not confirmed: %w", backplane.ErrUnavailable, ctx.Err())
		}
	}
}

// Release gives topics back.
func (b *Backplane) Release(topics []events.Topic) {
	_, counts := b.lanes(topics)
	for name, n := range counts {
		b.table.release(name, n)
	}
}

// lanes are the names of the lanes of topics, in the same order, and how many topics each lane has.
func (b *Backplane) lanes(topics []events.Topic) (names []string, counts map[string]int) {
	names = make([]string, len(topics))
	counts = map[string]int{}
	for i, t := range topics {
		names[i] = b.options.Layout.Lane(t.Organization, t.Entity)
		counts[names[i]]++
	}
	return names, counts
}

// Publish sends an event.
func (b *Backplane) Publish(ctx context.Context, data []byte) error {
	ev, err := b.options.Catalog.Decode(data)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	if err := b.send(ctx, b.options.Layout.Lane(ev.Organization, ev.Entity), data); err != nil {
		kind := backplane.ErrUnavailable
		if refused := goredis.Error(nil); errors.As(err, &refused) && strings.HasPrefix(refused.Error(), "NOPERM") {
			kind = backplane.ErrRefused
		}
		return fmt.Errorf("publish: %w: %w", kind, err)
	}
	return nil
}

// send publishes a message on a Redis channel.
func (b *Backplane) send(ctx context.Context, channel string, payload any) error {
	if b.options.Cluster {
		return b.commands.SPublish(ctx, channel, payload).Err()
	}
	return b.commands.Publish(ctx, channel, payload).Err()
}

// proven says that the present epoch works.
func (b *Backplane) proven() { b.healthy.Store(true) }

// Health says whether canaries arrive.
func (b *Backplane) Health() backplane.Health {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.health
}

func (b *Backplane) setHealth(connected bool, detail string) {
	b.mu.Lock()
	before := b.health.Connected
	b.health = backplane.Health{Connected: connected, Detail: detail}
	b.mu.Unlock()
	if connected != before {
		b.metrics.setConnected(connected)
	}
}
