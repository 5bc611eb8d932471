package directory_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rte-server/rte-server/internal/authz/directory"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// source is a Source in a map, with a delay and a failure that a test can set.
type source struct {
	mu      sync.Mutex
	records map[events.ID]*directory.Record
	delay   time.Duration
	err     error

	readings, ids, underway, most atomic.Int32
}

func (s *source) set(change func(*source)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *source) Records(ctx context.Context, ids []events.ID, records []*directory.Record) error {
	s.readings.Add(1)
	s.ids.Add(int32(len(ids)))
	if now := s.underway.Add(1); now > s.most.Load() {
		s.most.Store(now)
	}
	defer s.underway.Add(-1)
	s.mu.Lock()
	delay, err := s.delay, s.err
	for i, id := range ids {
		records[i] = s.records[id]
	}
	s.mu.Unlock()
	select {
	case <-time.After(delay):
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func organization() *source {
	return &source{records: map[events.ID]*directory.Record{
		me:           directory.NewRecord(events.KindUser, home),
		queue:        directory.NewRecord(events.KindQueue, home, colleague, me),
		callList:     directory.NewRecord(events.KindCallList, home, colleague),
		otherQueue:   directory.NewRecord(events.KindQueue, other, me),
		foreignQueue: directory.NewRecord(events.KindQueue, foreign, me),
	}}
}

func mustCached(tb testing.TB, o directory.CachedOptions) *directory.Cached {
	tb.Helper()
	d, err := directory.NewCached(o)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

var (
	agentOfHome    = directory.Caller{User: me, Organization: home}
	agentOfForeign = directory.Caller{User: stranger, Organization: foreign}
	away           = directory.Entity{State: directory.StateUnavailable}
)

func TestCached_oneReadingForABatch(t *testing.T) {
	s := organization()
	registry := prometheus.NewPedanticRegistry()
	d := mustCached(t, directory.CachedOptions{Source: s, Registerer: registry})
	ids := []events.ID{me, queue, queue, callList, foreignQueue, unknownEntity, me}
	want := []directory.Entity{
		{State: directory.StateKnown, Kind: events.KindUser, Organization: home},
		{State: directory.StateKnown, Kind: events.KindQueue, Organization: home, Member: true},
		{State: directory.StateKnown, Kind: events.KindQueue, Organization: home, Member: true},
		{State: directory.StateKnown, Kind: events.KindCallList, Organization: home},
		{State: directory.StateKnown, Kind: events.KindQueue, Organization: foreign, Member: true},
		{},
		{State: directory.StateKnown, Kind: events.KindUser, Organization: home},
	}
	if diff := cmp.Diff(want, lookup(t, d, agentOfHome, ids...)); diff != "" {
		t.Error(diff)
	}
	if s.readings.Load() != 1 || s.ids.Load() != 5 {
		t.Errorf("%d readings of %d records, want 1 of 5", s.readings.Load(), s.ids.Load())
	}
	want[4].Member = false // a foreign record is cached without its members
	if diff := cmp.Diff(want, lookup(t, d, agentOfHome, ids...)); diff != "" {
		t.Error(diff)
	}
	lookup(t, d, agentOfHome, ids[0], callList, otherQueue)
	if s.readings.Load() != 2 || s.ids.Load() != 6 {
		t.Errorf("%d readings of %d records, want 2 of 6", s.readings.Load(), s.ids.Load())
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}

func TestCached_lifetimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := organization()
		d := mustCached(t, directory.CachedOptions{Source: s, KnownTTL: time.Minute, UnknownTTL: time.Second})
		read := func(want int32, ids ...events.ID) {
			t.Helper()
			before := s.ids.Load()
			lookup(t, d, agentOfHome, ids...)
			if got := s.ids.Load() - before; got != want {
				t.Errorf("%d records read, want %d", got, want)
			}
		}
		read(3, queue, foreignQueue, unknownEntity)
		time.Sleep(time.Second - 1)
		read(0, queue, foreignQueue, unknownEntity)
		time.Sleep(time.Nanosecond)
		read(2, queue, foreignQueue, unknownEntity)
		time.Sleep(time.Minute - time.Second - 1)
		read(0, queue)
		time.Sleep(time.Nanosecond)
		read(1, queue)
	})
}

// TestCached_foreignTakesAsLongAsUnknown: requests of other organizations must not make an answer
// faster, or guessing would tell which entities exist.
func TestCached_foreignTakesAsLongAsUnknown(t *testing.T) {
	s := organization()
	d := mustCached(t, directory.CachedOptions{Source: s})
	lookup(t, d, agentOfForeign, foreignQueue)
	for range 2 {
		for _, id := range []events.ID{foreignQueue, unknownEntity} {
			lookup(t, d, agentOfHome, id)
		}
	}
	if readings := s.readings.Load(); readings != 3 {
		t.Errorf("%d readings, want one for each organization and entity", readings)
	}
}

// An entity that is foreign to one caller of an organization may belong to the next one, who has more organizations.
func TestCached_foreignToSome(t *testing.T) {
	s := organization()
	d := mustCached(t, directory.CachedOptions{Source: s})
	agentOfBoth := directory.Caller{User: me, Organization: home, Organizations: []events.ID{other}}
	theirs := directory.Entity{State: directory.StateKnown, Kind: events.KindQueue, Organization: other, Member: true}
	lookup(t, d, agentOfHome, otherQueue)
	for range 2 {
		if diff := cmp.Diff([]directory.Entity{theirs}, lookup(t, d, agentOfBoth, otherQueue)); diff != "" {
			t.Error(diff)
		}
	}
	if lookup(t, d, agentOfHome, otherQueue); s.readings.Load() != 2 {
		t.Errorf("%d readings", s.readings.Load())
	}
}

func TestCached_readingsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := organization()
		s.delay = time.Second
		d := mustCached(t, directory.CachedOptions{Source: s})
		var callers sync.WaitGroup
		for n := range 1000 {
			callers.Go(func() {
				time.Sleep(time.Duration(n) * 100 * time.Microsecond)
				got := lookup(t, d, agentOfHome, me, queue)
				if got[0].State != directory.StateKnown || !got[1].Member {
					t.Errorf("got %+v", got)
				}
			})
		}
		callers.Wait()
		if s.readings.Load() != 1 {
			t.Errorf("%d readings", s.readings.Load())
		}
	})
}

func TestCached_readingContinuesWithoutItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := organization()
		s.delay = time.Second
		d := mustCached(t, directory.CachedOptions{Source: s})
		leaving, leave := context.WithCancel(t.Context())
		var callers sync.WaitGroup
		callers.Go(func() { d.Lookup(leaving, agentOfHome, []events.ID{queue}, make([]directory.Entity, 1)) })
		synctest.Wait()
		callers.Go(func() {
			if got := lookup(t, d, agentOfHome, queue); got[0].State != directory.StateKnown {
				t.Errorf("got %+v", got)
			}
		})
		callers.Go(func() { // waits for the reading of another caller, but not for ever
			entities := make([]directory.Entity, 1)
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			d.Lookup(ctx, agentOfHome, []events.ID{queue}, entities)
			if entities[0] != away {
				t.Errorf("got %+v", entities[0])
			}
		})
		synctest.Wait()
		leave()
		callers.Wait()
	})
}

func TestCached_failsClosedAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := organization()
		registry := prometheus.NewPedanticRegistry()
		d := mustCached(t, directory.CachedOptions{Source: s, Registerer: registry})
		if got := lookup(t, d, agentOfHome, queue); got[0].State != directory.StateKnown {
			t.Fatalf("got %+v", got)
		}
		s.set(func(s *source) { s.err = errors.New("away") })
		for n := range 100 {
			got := lookup(t, d, agentOfHome, queue, callList)
			if got[0].State != directory.StateKnown || got[1] != away {
				t.Fatalf("%d: got %+v", n, got)
			}
		}
		if readings := s.readings.Load(); readings != 6 {
			t.Errorf("a source that fails got %d requests", readings-1)
		}
		if rtetest.MustReadMetric(t, registry, "rte_authz_directory_breaker_open") != 1 {
			t.Error("wrong metric")
		}
		time.Sleep(3*time.Second + 1)
		lookup(t, d, agentOfHome, callList)
		lookup(t, d, agentOfHome, callList)
		if readings := s.readings.Load(); readings != 7 {
			t.Errorf("%d attempts after a pause", readings-6)
		}
		s.set(func(s *source) { s.err = nil })
		time.Sleep(3*time.Second + 1)
		if got := lookup(t, d, agentOfHome, callList); got[0].State != directory.StateKnown {
			t.Errorf("got %+v", got)
		}
		if rtetest.MustReadMetric(t, registry, "rte_authz_directory_breaker_open") != 0 {
			t.Error("wrong metric")
		}
	})
}

func TestCached_sourceHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := organization()
		s.delay = time.Hour
		d := mustCached(t, directory.CachedOptions{Source: s, Timeout: time.Second, Concurrency: 2})
		began := time.Now()
		var callers sync.WaitGroup
		for range 50 {
			callers.Go(func() {
				if got := lookup(t, d, agentOfHome, events.NewID()); got[0] != away {
					t.Errorf("got %+v", got)
				}
			})
		}
		callers.Wait()
		if took := time.Since(began); took != time.Second {
			t.Errorf("it took %v", took)
		}
		if most := s.most.Load(); most > 2 {
			t.Errorf("%d readings at a time", most)
		}
	})
}

func TestCached_invalidate(t *testing.T) {
	s := organization()
	d := mustCached(t, directory.CachedOptions{Source: s})
	lookup(t, d, agentOfHome, queue, callList, unknownEntity)
	lookup(t, d, agentOfForeign, queue)
	s.set(func(s *source) {
		s.records[queue] = directory.NewRecord(events.KindQueue, home)
		s.records[unknownEntity] = directory.NewRecord(events.KindUser, home)
	})
	defer func() { delete(s.records, unknownEntity) }()
	if got := lookup(t, d, agentOfHome, queue, unknownEntity); !got[0].Member || got[1].State != directory.StateUnknown {
		t.Errorf("got %+v", got)
	}
	d.Invalidate(directory.Change{Entities: []events.ID{queue, unknownEntity}})
	if got := lookup(t, d, agentOfHome, queue, unknownEntity); got[0].Member || got[1].State != directory.StateKnown {
		t.Errorf("got %+v", got)
	}
	before := s.ids.Load()
	lookup(t, d, agentOfHome, callList, queue)
	if s.ids.Load() != before {
		t.Error("what did not change was read again")
	}
	d.Invalidate(directory.Change{All: true})
	lookup(t, d, agentOfHome, callList, queue)
	if got := s.ids.Load() - before; got != 2 {
		t.Errorf("%d read after everything changed", got)
	}
}

// TestCached_changeDuringReading checks that the result of a reading during which the record changed, and which may be
// the old record, is neither used nor cached.
func TestCached_changeDuringReading(t *testing.T) {
	for name, change := range map[string]directory.Change{
		"TheEntity":  {Entities: []events.ID{queue}},
		"Everything": {All: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := organization()
				s.delay = time.Second
				d := mustCached(t, directory.CachedOptions{Source: s})
				var caller sync.WaitGroup
				caller.Go(func() {
					if got := lookup(t, d, agentOfHome, queue); got[0].Member {
						t.Errorf("got %+v", got)
					}
				})
				synctest.Wait()
				s.set(func(s *source) { s.records[queue] = directory.NewRecord(events.KindQueue, home) })
				d.Invalidate(change)
				caller.Wait()
				if s.readings.Load() != 2 {
					t.Errorf("%d readings", s.readings.Load())
				}
			})
		})
	}
}

// TestCached_changeDuringReadingThenAway checks that the old record is not in the cache either, when the source fails
// before it is read again: other callers would get it until its end.
func TestCached_changeDuringReadingThenAway(t *testing.T) {
	for name, id := range map[string]events.ID{"Known": queue, "Unknown": unknownEntity, "Foreign": foreignQueue} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := organization()
				s.delay = time.Second
				d := mustCached(t, directory.CachedOptions{Source: s})
				var caller sync.WaitGroup
				caller.Go(func() {
					if got := lookup(t, d, agentOfHome, id); got[0] != away {
						t.Errorf("got %+v", got)
					}
				})
				time.Sleep(time.Second / 2)
				s.set(func(s *source) { s.err = errors.New("away") }) // for the next reading
				d.Invalidate(directory.Change{Entities: []events.ID{id}})
				caller.Wait()
				if got := lookup(t, d, agentOfHome, id); got[0] != away {
					t.Errorf("the next caller got %+v", got)
				}
			})
		})
	}
}

func TestCached_isBounded(t *testing.T) {
	const limit = 40_000
	s := organization()
	registry := prometheus.NewPedanticRegistry()
	d := mustCached(t, directory.CachedOptions{Source: s, CacheBytes: limit, Registerer: registry})
	lookup(t, d, agentOfHome, queue)
	for range 500 { // guesses, which must not evict known records
		lookup(t, d, agentOfHome, events.NewID())
		if size := rtetest.MustReadMetric(t, registry, "rte_authz_directory_cache_bytes"); size > limit {
			t.Fatalf("%v bytes, the limit is %d", size, limit)
		}
	}
	before := s.readings.Load()
	lookup(t, d, agentOfHome, queue)
	if s.readings.Load() != before {
		t.Error("guesses drove out a known record")
	}
	var members []events.ID
	for range 5000 {
		members = append(members, events.NewID())
	}
	s.records[ownQueue] = directory.NewRecord(events.KindQueue, home, members...)
	lookup(t, d, agentOfHome, ownQueue)
	if size := rtetest.MustReadMetric(t, registry, "rte_authz_directory_cache_bytes"); size > limit {
		t.Fatalf("%v bytes, the limit is %d", size, limit)
	}
}

// TestCached_concurrent mixes readings and changes for the race detector, and checks at the end that the cache
// agrees with the source.
func TestCached_concurrent(t *testing.T) {
	s := organization()
	d := mustCached(t, directory.CachedOptions{Source: s, CacheBytes: 8000})
	ids := []events.ID{me, queue, callList, otherQueue, foreignQueue, unknownEntity}
	var callers sync.WaitGroup
	for n := range 4 {
		callers.Go(func() {
			for k := range 300 {
				caller := agentOfHome
				if k%3 == 0 {
					caller = agentOfForeign
				}
				lookup(t, d, caller, ids[(n+k)%len(ids)], ids[(n*k)%len(ids)], events.NewID())
				if k%7 == n {
					d.Invalidate(directory.Change{Entities: ids[k%len(ids):]})
				}
			}
		})
	}
	callers.Wait()
	fresh := mustCached(t, directory.CachedOptions{Source: s})
	d.Invalidate(directory.Change{All: true})
	if diff := cmp.Diff(lookup(t, fresh, agentOfHome, ids...), lookup(t, d, agentOfHome, ids...)); diff != "" {
		t.Error(diff)
	}
}

func TestNewCached_refusesMistakes(t *testing.T) {
	for n, o := range []directory.CachedOptions{
		{}, {Source: organization(), KnownTTL: -1}, {
			Source: organization(), Concurrency: -1,
		}, {Source: organization(), CacheBytes: -1},
	} {
		if _, err := directory.NewCached(o); err == nil {
			t.Error(fmt.Sprint(n), "accepted")
		}
	}
}
