package directory

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/events"
)

// Defaults of CachedOptions.
const (
	DefaultKnownTTL    = 5 * time.Minute
	DefaultUnknownTTL  = 30 * time.Second
	DefaultCacheBytes  = 64 << 20
	DefaultReadTimeout = 2 * time.Second
	DefaultConcurrency = 16
)

// Source is where a Cached reads records. It may be used from any goroutine.
type Source interface {
	// Records reads the records of ids, in order, into records, which has the length of ids; nil is an entity that does
	// not exist. It is one round trip however many ids there are. An error says that the source could not be asked.
	Records(ctx context.Context, ids []events.ID, records []*Record) error
}

// CachedOptions say how a Cached reads its source.
type CachedOptions struct {
	Source      Source        // needed
	KnownTTL    time.Duration // how long a record of the caller's organizations is believed
	UnknownTTL  time.Duration // how long it is believed that an entity does not exist or is foreign
	CacheBytes  int           // memory for records, about; a quarter of it is for what is unknown or foreign
	Timeout     time.Duration // of one reading, waiting for its turn included
	Concurrency int           // readings at a time

	Logger     *zap.Logger           // default: none
	Registerer prometheus.Registerer // default: none
}

// Cached is a directory that reads a slow source through a bounded cache. Readings of one record are shared by
// everybody who wants it at the time; while the source fails it is left alone, and what is not in the cache is
// unavailable.
//
// The cache belongs to the organization that asks. So the first question of an organization about an entity is always
// a question to the source, and the time that the answer takes does not tell a foreign entity, which others may have
// asked about, from one that does not exist.
type Cached struct {
	options CachedOptions
	breaker *breaker
	turns   chan struct{} // holds one element for each reading under way
	metrics *cachedMetrics
	made    time.Time // since when the tables count

	mu       sync.RWMutex
	known    *recordCache           // guarded by mu: records of the organization that asked
	unknown  *recordCache           // guarded by mu: foreign records and entities that do not exist
	underway map[recordKey]*fetched // guarded by mu
}

// recordKey is a record as one organization sees it.
type recordKey struct{ organization, id events.ID }

// fetched is one reading of the source.
type fetched struct {
	done    chan struct{}         // closed when the fields below are set
	records map[events.ID]*Record // nil if the source could not be asked
	stale   bool                  // guarded by Cached.mu: the directory changed meanwhile
}

// NewCached fills in the defaults of the options.
func NewCached(o CachedOptions) (*Cached, error) {
	if o.Source == nil {
		return nil, errors.New("cached directory: a source is needed")
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	o.KnownTTL, o.UnknownTTL = cmp.Or(o.KnownTTL, DefaultKnownTTL), cmp.Or(o.UnknownTTL, DefaultUnknownTTL)
	o.CacheBytes = cmp.Or(o.CacheBytes, DefaultCacheBytes)
	o.Timeout = cmp.Or(o.Timeout, DefaultReadTimeout)
	o.Concurrency = cmp.Or(o.Concurrency, DefaultConcurrency)
	if o.KnownTTL < 0 || o.UnknownTTL < 0 || o.CacheBytes < 0 || o.Timeout < 0 || o.Concurrency < 0 {
		return nil, errors.New("cached directory: negative option")
	}
	metrics := newCachedMetrics(o.Registerer)
	metrics.capacity.Set(float64(o.CacheBytes))
	return &Cached{
		options: o, metrics: metrics, breaker: newBreaker(o.Logger, metrics.open), turns: make(chan struct{}, o.Concurrency),
		known: newRecordCache(o.CacheBytes * 3 / 4), unknown: newRecordCache(o.CacheBytes / 4),
		underway: map[recordKey]*fetched{}, made: time.Now(),
	}, nil
}

// Lookup describes the entities of ids, in order.
func (d *Cached) Lookup(ctx context.Context, caller Caller, ids []events.ID, entities []Entity) {
	missing := d.lookupCached(caller, ids, entities)
	d.metrics.hits.Add(float64(len(ids) - missing))
	if missing == 0 {
		return
	}
	d.metrics.misses.Add(float64(missing))
	// A record that changed while it was read is read once more.
	for range 2 {
		if fresh := d.lookupSource(ctx, caller, ids, entities); fresh {
			return
		}
	}
}

// lookupCached describes what is in the cache. The other entities, of which it returns the number, are left as
// StateUnavailable.
func (d *Cached) lookupCached(caller Caller, ids []events.ID, entities []Entity) (missing int) {
	now := time.Since(d.made)
	d.mu.RLock()
	defer d.mu.RUnlock()
	for i, id := range ids {
		key := recordKey{caller.Organization, id}
		record, ok := d.known.get(key, now)
		if !ok {
			record, ok = d.unknown.get(key, now)
			// What was foreign to a colleague was kept without its members, whom this caller may be one of.
			ok = ok && (record == nil || !caller.BelongsTo(record.Organization))
		}
		if !ok {
			entities[i] = Entity{State: StateUnavailable}
			missing++
			continue
		}
		entities[i] = record.seenBy(caller.User)
	}
	return missing
}

// lookupSource describes the entities that lookupCached left. It answers false, and leaves them, if the directory
// changed meanwhile.
func (d *Cached) lookupSource(ctx context.Context, caller Caller, ids []events.ID, entities []Entity) (fresh bool) {
	wanted := map[events.ID]*fetched{}
	mine := &fetched{done: make(chan struct{})}
	var own []events.ID
	d.mu.Lock()
	for i, id := range ids {
		if _, twice := wanted[id]; twice || entities[i].State != StateUnavailable {
			continue
		}
		key := recordKey{caller.Organization, id}
		f, underway := d.underway[key]
		if !underway {
			f = mine
			d.underway[key] = f
			own = append(own, id)
		}
		wanted[id] = f
	}
	d.mu.Unlock()
	if len(own) > 0 {
		d.fetch(ctx, caller, own, mine)
	}
	fresh = true
	for i, id := range ids {
		if entities[i].State != StateUnavailable {
			continue
		}
		f := wanted[id]
		select {
		case <-f.done:
		case <-ctx.Done():
			return true
		}
		if f.stale { // no longer changes: the reading is over
			fresh = false
		} else if f.records != nil {
			entities[i] = f.records[id].seenBy(caller.User)
		}
	}
	return fresh
}

// fetch reads the records of ids, which it has announced as under way, and ends f. It goes on if the caller leaves, for
// those who wait with it.
func (d *Cached) fetch(ctx context.Context, caller Caller, ids []events.ID, f *fetched) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.options.Timeout)
	defer cancel()
	records := make([]*Record, len(ids))
	ok := d.ask(ctx, ids, records)
	now := time.Since(d.made)
	d.mu.Lock()
	defer d.mu.Unlock()
	defer close(f.done)
	if ok {
		f.records = make(map[events.ID]*Record, len(ids))
	}
	for i, id := range ids {
		key := recordKey{caller.Organization, id}
		delete(d.underway, key)
		if !ok {
			continue
		}
		f.records[id] = records[i]
		switch {
		case f.stale:
		case records[i] != nil && caller.BelongsTo(records[i].Organization):
			d.known.put(key, records[i], now+d.options.KnownTTL)
		default:
			d.unknown.put(key, records[i].withoutMembers(), now+d.options.UnknownTTL)
		}
	}
	d.metrics.size.Set(float64(d.known.size + d.unknown.size))
}

// ask asks the source, if it is not to be left alone just now.
func (d *Cached) ask(ctx context.Context, ids []events.ID, records []*Record) (ok bool) {
	if !d.breaker.allow() {
		d.metrics.fetches[fetchRefused].Inc()
		return false
	}
	select {
	case d.turns <- struct{}{}:
		defer func() { <-d.turns }()
	case <-ctx.Done():
		d.breaker.give()
		d.metrics.fetches[fetchBusy].Inc()
		return false
	}
	began := time.Now()
	err := d.options.Source.Records(ctx, ids, records)
	d.metrics.seconds.Observe(time.Since(began).Seconds())
	d.breaker.report(err)
	if err != nil {
		d.metrics.fetches[fetchFailed].Inc()
		return false
	}
	d.metrics.fetches[fetchOK].Inc()
	return true
}

// Invalidate drops what changed from the cache. What is being read at the time is read again.
func (d *Cached) Invalidate(c Change) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.All {
		d.known.clear()
		d.unknown.clear()
	}
	changed := make(map[events.ID]bool, len(c.Entities)) // there may be thousands of both
	for _, id := range c.Entities {
		d.known.remove(id)
		d.unknown.remove(id)
		changed[id] = true
	}
	for key, f := range d.underway {
		if c.All || changed[key.id] {
			f.stale = true
		}
	}
	d.metrics.size.Set(float64(d.known.size + d.unknown.size))
}
