package directory

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker/v2"
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

// The circuit breaker of a source opens after breakerFailures consecutive failures, for breakerPause. Then one reading
// goes through, and its result closes the breaker or opens it again.
const (
	breakerFailures = 5
	breakerPause    = 3 * time.Second
)

// Source is a store of records. It may be used from any goroutine.
type Source interface {
	// Records reads the records of ids, in order, into records, which has the length of ids; nil means that the entity
	// does not exist. It takes one round trip, however many ids there are. An error means that the source is
	// unavailable.
	Records(ctx context.Context, ids []events.ID, records []*Record) error
}

// CachedOptions configure a Cached directory.
type CachedOptions struct {
	Source      Source        // required
	KnownTTL    time.Duration // lifetime of a cached record of the caller's organizations
	UnknownTTL  time.Duration // lifetime of the information that an entity does not exist or is foreign
	CacheBytes  int           // approximate memory for records; unknown and foreign entities may use a quarter of it
	Timeout     time.Duration // of one reading, including the wait for its turn
	Concurrency int           // concurrent readings; of one user, half as many

	Logger     *zap.Logger           // default: none
	Registerer prometheus.Registerer // default: none
}

// Cached is a directory that reads a slow source through a bounded cache. Concurrent lookups of one record share one
// reading. While the source fails, a circuit breaker keeps readings away from it, and entities that are not in the
// cache are unavailable.
//
// The cache is separate for each organization that asks. So the first lookup of an entity by an organization always
// reads the source, and the response time does not tell a foreign entity, which others may have looked up, from one
// that does not exist.
type Cached struct {
	options CachedOptions
	breaker *gobreaker.CircuitBreaker[struct{}]
	failure atomic.Pointer[error] // of the last reading that failed, for the log
	slots   *slots                // of readings in progress
	metrics *cachedMetrics
	made    time.Time // the origin of the times in the caches

	answered atomic.Int64 // time of the last answer of the source since made, in nanoseconds; 0: it never answered

	mu       sync.RWMutex
	known    *recordCache           // guarded by mu: records of the organization that asked
	unknown  *recordCache           // guarded by mu: foreign records and entities that do not exist
	underway map[recordKey]*reading // guarded by mu
}

// recordKey identifies a record as one organization sees it.
type recordKey struct{ organization, id events.ID }

// reading is one reading of the source.
type reading struct {
	done    chan struct{}         // closed when the fields below are set
	records map[events.ID]*Record // nil if the source is unavailable
	stale   bool                  // guarded by Cached.mu: the directory changed during the reading
}

// NewCached checks the options and fills in their defaults.
func NewCached(o CachedOptions) (*Cached, error) {
	if o.Source == nil {
		return nil, errors.New("directory: CachedOptions.Source is required")
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	o.KnownTTL, o.UnknownTTL = cmp.Or(o.KnownTTL, DefaultKnownTTL), cmp.Or(o.UnknownTTL, DefaultUnknownTTL)
	o.CacheBytes = cmp.Or(o.CacheBytes, DefaultCacheBytes)
	o.Timeout = cmp.Or(o.Timeout, DefaultReadTimeout)
	o.Concurrency = cmp.Or(o.Concurrency, DefaultConcurrency)
	switch {
	case o.KnownTTL < 0:
		return nil, errors.New("directory: CachedOptions.KnownTTL is negative")
	case o.UnknownTTL < 0:
		return nil, errors.New("directory: CachedOptions.UnknownTTL is negative")
	case o.CacheBytes < 0:
		return nil, errors.New("directory: CachedOptions.CacheBytes is negative")
	case o.Timeout < 0:
		return nil, errors.New("directory: CachedOptions.Timeout is negative")
	case o.Concurrency < 0:
		return nil, errors.New("directory: CachedOptions.Concurrency is negative")
	}
	d := &Cached{
		options: o, metrics: newCachedMetrics(o.Registerer), slots: newSlots(o.Concurrency),
		known: newRecordCache(o.CacheBytes * 3 / 4), unknown: newRecordCache(o.CacheBytes / 4),
		underway: map[recordKey]*reading{}, made: time.Now(),
	}
	d.metrics.capacity.Set(float64(o.CacheBytes))
	d.breaker = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Timeout:       breakerPause,
		ReadyToTrip:   func(counts gobreaker.Counts) bool { return counts.ConsecutiveFailures >= breakerFailures },
		IsExcluded:    func(err error) bool { return errors.Is(err, errBusy) },
		OnStateChange: d.breakerChanged,
	})
	return d, nil
}

// Lookup describes the entities of ids, in order.
func (d *Cached) Lookup(ctx context.Context, caller Caller, ids []events.ID, entities []Entity) {
	missing := d.lookupCached(caller, ids, entities)
	d.metrics.hits.Add(float64(len(ids) - missing))
	if missing == 0 {
		return
	}
	d.metrics.misses.Add(float64(missing))
	// A record that changed during its reading is read once more.
	for range 2 {
		if fresh := d.lookupSource(ctx, caller, ids, entities); fresh {
			return
		}
	}
}

// lookupCached describes the entities that are in the cache. It marks the others as StateUnavailable and returns their
// number.
func (d *Cached) lookupCached(caller Caller, ids []events.ID, entities []Entity) (missing int) {
	now := time.Since(d.made)
	d.mu.RLock()
	defer d.mu.RUnlock()
	for i, id := range ids {
		key := recordKey{caller.Organization, id}
		record, ok := d.known.get(key, now)
		if !ok {
			record, ok = d.unknown.get(key, now)
			// A record that was foreign to another caller is cached without its members, and this caller may be one.
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

// lookupSource describes the entities that lookupCached marked. It returns false, and leaves them, if the directory
// changed during the reading.
func (d *Cached) lookupSource(ctx context.Context, caller Caller, ids []events.ID, entities []Entity) (fresh bool) {
	wanted := map[events.ID]*reading{}
	mine := &reading{done: make(chan struct{})}
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
		if f.stale { // no longer changes: the reading has ended
			fresh = false
		} else if f.records != nil {
			entities[i] = f.records[id].seenBy(caller.User)
		}
	}
	return fresh
}

// fetch reads the records of ids, which are in d.underway, and completes f. It continues if the caller's context ends,
// because other callers may wait for the same reading.
func (d *Cached) fetch(ctx context.Context, caller Caller, ids []events.ID, f *reading) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.options.Timeout)
	defer cancel()
	records := make([]*Record, len(ids))
	ok := d.read(ctx, slotOwner{caller.Organization, caller.User}, ids, records)
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

// errBusy means that a reading did not begin before its timeout, because too many were in progress.
var errBusy = errors.New("too many readings of the directory")

// read reads the source, unless the circuit breaker is open. It reports whether records are set.
func (d *Cached) read(ctx context.Context, owner slotOwner, ids []events.ID, records []*Record) (ok bool) {
	_, err := d.breaker.Execute(func() (struct{}, error) {
		if d.slots.occupy(ctx, owner) != nil {
			return struct{}{}, errBusy
		}
		defer d.slots.vacate(owner)
		began := time.Now()
		err := d.options.Source.Records(ctx, ids, records)
		d.metrics.seconds.Observe(time.Since(began).Seconds())
		if err != nil {
			d.failure.Store(&err)
		} else {
			d.answered.Store(int64(max(time.Since(d.made), 1)))
		}
		return struct{}{}, err
	})
	result := fetchFailed
	switch {
	case err == nil:
		result = fetchOK
	case errors.Is(err, errBusy):
		result = fetchBusy
	case errors.Is(err, gobreaker.ErrOpenState), errors.Is(err, gobreaker.ErrTooManyRequests):
		result = fetchRefused
	}
	d.metrics.fetches[result].Inc()
	return err == nil
}

// breakerChanged is called when the circuit breaker changes its state. It runs under the lock of the breaker.
func (d *Cached) breakerChanged(_ string, from, to gobreaker.State) {
	switch {
	case from == gobreaker.StateClosed && to == gobreaker.StateOpen:
		d.metrics.open.Set(1)
		d.options.Logger.Warn("directory fails, entities that are not cached are unavailable",
			zap.Error(*d.failure.Load()))
	case to == gobreaker.StateClosed:
		d.metrics.open.Set(0)
		d.options.Logger.Info("directory answers again")
	}
}

// Invalidate drops the records that changed from the cache. Records that are being read at the moment are read again.
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
