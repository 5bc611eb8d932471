package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/backplane"
)

// link is the subscribed connection to one Redis master, over all its epochs.
type link struct {
	b        *Backplane
	group    *group
	number   int                     // in the group
	name     string                  // of the server or the master, for logs and Health
	commands goredis.UniversalClient // publishes to this server, as publishers do
	address  addressFunc
	// watch returns an error when the server at the address is no longer the master, and nil when ctx ends; may be
	// nil.
	watch func(ctx context.Context, address string) error
	// canary makes a channel name that belongs to this server from the name of a canary's channel; nil: every name
	// does.
	canary func(name string) string

	// The queues and orphans are guarded by index.mu.
	lookups queue   // lanes whose journal must be looked up
	joins   queue   // lanes whose subscription may differ from the wanted one
	orphans []*lane // lanes that are subscribed here and belong elsewhere
	journal *journal
	spare   map[string]*lane // empty, with room for the lanes of the last epoch; owned by run

	healthy atomic.Bool  // a canary arrived in the present epoch, so that the next one need not wait
	proof   atomic.Int64 // when the last canary arrived, in nanoseconds since the backplane's start; 0: never
	lapsed  atomic.Int64 // the same of the first epoch that ended since then; 0: none did

	ended atomic.Int64 // when the latest epoch ended, in nanoseconds since the backplane's start; 0: never
	cut   atomic.Int64 // the same, if a working connection was lost and none has followed; else 0

	former sync.WaitGroup // the goroutines that watch former masters

	mu      sync.Mutex
	health  backplane.Health // guarded by mu
	writes  error            // guarded by mu; why the server refuses writes; nil: it does not
	present string           // guarded by mu; the address of the latest epoch; empty: there was none
}

// addressFunc returns the address of the server to connect to.
type addressFunc func(ctx context.Context) (string, error)

// fixed returns always the same address.
func fixed(address string) addressFunc {
	return func(context.Context) (string, error) { return address, nil }
}

func newLink(b *Backplane, name string, commands goredis.UniversalClient, address addressFunc) *link {
	return &link{
		b:        b,
		name:     name,
		commands: commands,
		address:  address,
		lookups:  newQueue(),
		joins:    newQueue(),
		journal:  newJournal(),
		spare:    map[string]*lane{},
		health:   backplane.Health{Detail: "not connected yet"},
	}
}

// Back-off between two epochs. The first steps are small, as most causes of an end are over at once. The steps grow
// fast, so that a Redis that comes back does not meet a storm: 6 dials in the first 3 s, then 2 per 3 s.
const (
	backoffFirst  = 20 * time.Millisecond
	backoffLast   = 2 * time.Second
	backoffFactor = 3
)

// run runs one epoch after the other until ctx ends.
func (k *link) run(ctx context.Context) {
	defer k.former.Wait()
	backoff := backoffFirst
	for ctx.Err() == nil {
		k.group.awaitLeader(ctx, k)
		err := k.epoch(ctx)
		if k.number == 0 {
			k.group.leads.Store(false)
		}
		if ctx.Err() != nil {
			k.b.metrics.ended(end(endStopped, "%w", ctx.Err()))
			return
		}
		now := int64(time.Since(k.b.started))
		k.ended.Store(now)
		if why, ok := errors.AsType[*ended](err); ok && why.reason == endLost && k.healthy.Load() {
			k.cut.Store(now)
		}
		k.set(backplane.Health{Detail: k.name + ": " + err.Error()})
		k.lapse()
		k.b.metrics.ended(err)
		k.b.log.Warn("redis connection ended", func() []zap.Field {
			return []zap.Field{zap.String("server", k.name), zap.Int("connection", k.number), zap.Error(err)}
		})
		if k.healthy.Swap(false) {
			backoff = backoffFirst
		}
		wait := backoff/2 + k.b.options.Jitter(backoff/2)
		backoff = min(backoff*backoffFactor, backoffLast)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// epoch connects, and stays connected as long as nothing is in doubt.
func (k *link) epoch(ctx context.Context) error {
	address, err := k.address(ctx)
	if err != nil {
		return end(endDial, "%w", err)
	}
	server, err := k.b.options.openServer(ctx, address)
	if err != nil {
		return end(endDial, "%w", err)
	}
	defer server.Close()
	conn, err := k.b.options.openSubscriber(ctx, address)
	if err != nil {
		return end(endDial, "%w", err)
	}
	if old := k.move(address); k.number == 0 && old != "" && old != address {
		k.former.Go(func() { k.watchFormerMaster(ctx, old) })
	}
	if k.number == 0 {
		k.group.leads.Store(true)
	}
	if k.group.cutAlone(k) {
		k.b.separate(k)
	}
	number := k.b.epochs.Add(1)
	k.b.logger.Info("redis connected",
		zap.String("server", k.name), zap.Int("connection", k.number), zap.String("address", address),
		zap.Uint64("epoch", number))
	canary := k.b.options.Layout.Named(fmt.Sprintf("rte:hb:%s:%d", k.b.node, number))
	if k.canary != nil {
		canary = k.canary(canary)
	}
	e := newEpoch(k, server, conn, canary)
	defer func() {
		k.lapse()
		k.b.index.finish(k, e.lanes, e.era, server.history)
	}()
	return e.run(ctx)
}

// lapse records that an epoch ended.
func (k *link) lapse() { k.lapsed.CompareAndSwap(0, int64(time.Since(k.b.started))) }

// move changes the present address and returns the one before.
func (k *link) move(address string) (before string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	before, k.present = k.present, address
	return before
}

// at reports whether an address is the present one.
func (k *link) at(address string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.present == address
}

func (k *link) set(h backplane.Health) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.health = h
}

// setWrites records whether the server accepts writes; nil: it does.
func (k *link) setWrites(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.writes = err
}

// get returns the health of the link. A server that refuses writes is connected, with a problem.
func (k *link) get() backplane.Health {
	k.mu.Lock()
	defer k.mu.Unlock()
	health := k.health
	if health.Connected && k.writes != nil {
		health.Detail = k.name + ": " + k.writes.Error()
	}
	return health
}
