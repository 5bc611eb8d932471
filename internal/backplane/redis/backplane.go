package redis

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/redis/command"
	"github.com/rte-server/rte-server/internal/backplane/redis/peer"
	"github.com/rte-server/rte-server/internal/backplane/resp"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/wakeup"
)

// Backplane brings the events that are published to a Redis to this node, and publishes. Its methods may be called
// from any goroutine, also while Redis is away.
type Backplane struct {
	commander

	options  Options
	node     string // distinguishes this node's canaries and peer queries from those of others
	started  time.Time
	receiver *backplane.Receiver
	logger   *zap.Logger
	log      *backplane.Throttle // of what happens to connections
	losses   *backplane.Throttle
	metrics  *metrics
	wanted   func(events.Topic) bool // is b.wants
	commands *command.Client

	index     *laneIndex
	scheduler *scheduler
	workers   sync.WaitGroup
	chunks    resp.Pool
	queued    atomic.Int64 // bytes of entries that wait for a worker
	epochs    atomic.Uint64
	peers     *peer.Exchange
	checkups  checkups
	pages     pages
	recent    backplane.SharedMemory // of peer.Recent
	states    backplane.StatesLimit
	reads     chan struct{} // holds a token for each read of states under way

	shards  []*group // nil in a cluster
	cluster *cluster // nil if there is none
}

var _ backplane.Backplane = (*Backplane)(nil)

// commander has the methods of a Backplane that need no subscription. *command.Client implements it.
type commander interface {
	backplane.Publisher
	backplane.Receipts
	backplane.Documents

	Send(ctx context.Context, channel string, message []byte) error
	Revocations() backplane.Revocations
}

// Shared implements backplane.Control.
func (b *Backplane) Shared() bool { return true }

// Subscribe implements backplane.Control.
func (b *Backplane) Subscribe(channel string, message func(payload []byte), missed func()) {
	b.index.subscribeChannel(b.options.Layout.Named(channel), message, missed)
}

// New makes a Backplane. It connects when it runs.
func New(o Options) (*Backplane, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	b := &Backplane{
		options:  o,
		node:     events.NewID().String(),
		started:  time.Now(),
		receiver: backplane.NewReceiver(o.Options),
		logger:   o.Logger,
		log:      backplane.NewThrottle(o.Logger),
		losses:   backplane.NewThrottle(o.Logger),
		reads:    make(chan struct{}, snapshotReads),
	}
	b.wanted = b.wants
	b.pages.room = wakeup.New()
	b.scheduler = newScheduler(o.Workers, b.work)
	b.index = newLaneIndex(o.Layout, o.Linger, o.Connections, b.route, func(l *lane) { b.post(l, left{}) })
	b.states.Bytes, b.recent.Bytes = int64(o.SnapshotMemory), int64(o.PeerMemory)
	b.peers = b.newExchange()
	b.commands = o.newCommands()
	b.commander = b.commands
	if o.Cluster {
		b.cluster = newCluster(b)
	} else {
		b.shards = b.newShards()
	}
	b.metrics = newMetrics(o.Registerer, b)
	return b, nil
}

// newShards makes the links to the servers, or to the masters that Sentinels watch.
func (b *Backplane) newShards() []*group {
	var groups []*group
	for _, server := range b.commands.Servers() {
		g := newGroup(b, server.Name, server.Client, fixed(server.Name))
		if b.options.SentinelMaster != "" {
			g.followSentinels(&sentinels{options: &b.options, master: server.Name})
		}
		groups = append(groups, g)
	}
	return groups
}

// route returns the link of a lane. The caller holds index.mu.
func (b *Backplane) route(l *lane) *link {
	var g *group
	if b.cluster != nil {
		g = b.cluster.slots[slot(l.name)]
	} else {
		g = b.shards[command.ServerIndex(l.name, len(b.shards))]
	}
	if g == nil {
		return nil
	}
	return g.links[l.number]
}

// separate moves organizations away from a link that was cut off alone.
func (b *Backplane) separate(k *link) {
	moved := b.index.separate(k)
	if moved == 0 {
		return
	}
	b.log.Warn("redis closed one connection, probably for its output buffer", func() []zap.Field {
		return []zap.Field{zap.String("server", k.name), zap.Int("connection", k.number), zap.Int("organizations", moved)}
	})
}

// refresh looks at the cluster again, as lanes seem to have moved.
func (b *Backplane) refresh() {
	if b.cluster != nil {
		b.cluster.refresh()
	}
}

// Run receives until ctx ends. It may be called once.
func (b *Backplane) Run(ctx context.Context) error {
	var others, relieving sync.WaitGroup
	relieving.Go(b.scheduler.relieve)
	others.Go(func() { b.sweep(ctx) })
	others.Go(func() { b.peers.Run(ctx) })
	for _, g := range b.shards {
		others.Go(func() { g.run(ctx) })
	}
	if b.cluster != nil {
		others.Go(func() { b.cluster.run(ctx) })
	}
	others.Wait()
	b.scheduler.close()
	relieving.Wait()
	b.workers.Wait()
	return b.commands.Close()
}

// wants reports whether the events of a topic are kept for snapshots, or wanted by the sink.
func (b *Backplane) wants(t events.Topic) bool {
	return b.states.Bytes > 0 && b.options.Catalog.Definition(t.Type).State() || b.options.Sink.Wants(t)
}

func (b *Backplane) work() {
	w := &worker{b: b}
	b.workers.Go(w.run)
}

// sweep unsubscribes lanes whose linger time is over, retries lanes that Redis refused, and schedules checkups.
func (b *Backplane) sweep(ctx context.Context) {
	linger := time.NewTicker(max(b.options.Linger/8, time.Millisecond))
	defer linger.Stop()
	retry := time.NewTicker(5 * time.Second)
	defer retry.Stop()
	check := time.NewTicker(b.options.CheckInterval)
	defer check.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-check.C:
			for _, l := range b.checkups.all() {
				b.post(l, checkup{})
			}
		case now := <-linger.C:
			b.index.expire(now)
		case <-retry.C:
			b.index.retry()
		}
	}
}

// refused records lanes that the server refuses.
func (b *Backplane) refused(k *link, lanes []*lane, text string) {
	b.index.refuse(k, lanes, fmt.Errorf("%w: %s", backplane.ErrRefused, text), func(l *lane, from time.Time) {
		b.post(l, missed{from})
	})
	if len(lanes) == 1 {
		b.log.Warn("lane refused", func() []zap.Field {
			return []zap.Field{zap.String("lane", lanes[0].name), zap.String("answer", text)}
		})
	}
}

// Acquire implements backplane.Backplane. It waits until Redis has confirmed the lanes of the topics, or they are in
// doubt.
func (b *Backplane) Acquire(ctx context.Context, topics []events.Topic) []error {
	names, counts := b.lanes(topics)
	lanes := make(map[string]*lane, len(counts))
	for name, n := range counts {
		lanes[name] = b.index.acquire(name, n)
	}
	ctx, cancel := context.WithTimeout(ctx, b.options.ConfirmTimeout)
	defer cancel()
	var failed map[string]error
	for name, l := range lanes {
		if err := b.acquired(ctx, l); err != nil {
			if failed == nil {
				failed = map[string]error{}
			}
			failed[name] = err
			b.index.release(name, counts[name])
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

// Release implements backplane.Backplane.
func (b *Backplane) Release(topics []events.Topic) {
	_, counts := b.lanes(topics)
	for name, n := range counts {
		b.index.release(name, n)
	}
}

// lanes returns the names of the lanes of topics, in the same order, and how many topics each lane has.
func (b *Backplane) lanes(topics []events.Topic) (names []string, counts map[string]int) {
	names = make([]string, len(topics))
	counts = map[string]int{}
	for i, t := range topics {
		names[i] = b.options.Layout.Lane(t.Organization, t.Entity)
		counts[names[i]]++
	}
	return names, counts
}

// Health reports whether canaries arrive from all servers.
func (b *Backplane) Health() backplane.Health {
	if b.cluster != nil {
		return b.cluster.health()
	}
	return health(b.shards)
}
