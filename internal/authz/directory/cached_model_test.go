package directory_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rte-server/rte-server/internal/authz/directory"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// requested is an entity as an organization sees it.
type requested struct{ organization, id events.ID }

// seen is a cached record with its end.
type seen struct {
	record *directory.Record
	until  time.Time
}

// modelCache is a Cached directory without a bound, a shared reading or a lock.
type modelCache struct {
	source         *source
	known, unknown map[requested]seen

	failures int       // of the source, one after the other
	open     time.Time // until then the circuit breaker keeps readings away
	halfOpen bool

	hits, misses, ok, failed, refused, ids float64
}

const (
	modelKnownTTL   = time.Minute
	modelUnknownTTL = 10 * time.Second
)

func (m *modelCache) cached(c directory.Caller, id events.ID) (*directory.Record, bool) {
	if s, ok := m.known[requested{c.Organization, id}]; ok && time.Now().Before(s.until) {
		return s.record, true
	}
	s, ok := m.unknown[requested{c.Organization, id}]
	return s.record, ok && time.Now().Before(s.until) && (s.record == nil || !c.BelongsTo(s.record.Organization))
}

// read reports whether a reading succeeds.
func (m *modelCache) read(ids int) bool {
	if time.Now().Before(m.open) {
		m.refused++
		return false
	}
	m.ids += float64(ids)
	if m.source.err == nil {
		m.ok++
		m.failures, m.halfOpen = 0, false
		return true
	}
	m.failed++
	if m.failures++; m.failures >= 5 || m.halfOpen {
		m.open, m.halfOpen = time.Now().Add(3*time.Second), true
	}
	return false
}

func (m *modelCache) lookup(c directory.Caller, ids []events.ID) []directory.Entity {
	entities, missing := make([]directory.Entity, len(ids)), map[events.ID]bool{}
	for i, id := range ids {
		record, ok := m.cached(c, id)
		if ok {
			m.hits++
			entities[i] = view(record, c.User)
			continue
		}
		m.misses++
		missing[id] = true
	}
	if len(missing) == 0 {
		return entities
	}
	ok := m.read(len(missing))
	for i, id := range ids {
		if !missing[id] {
			continue
		}
		if !ok {
			entities[i] = away
			continue
		}
		record := m.source.records[id]
		entities[i] = view(record, c.User)
		switch key := (requested{c.Organization, id}); {
		case record == nil:
			m.unknown[key] = seen{nil, time.Now().Add(modelUnknownTTL)}
		case c.BelongsTo(record.Organization):
			m.known[key] = seen{record, time.Now().Add(modelKnownTTL)}
		default: // without the members
			m.unknown[key] = seen{directory.NewRecord(record.Kind, record.Organization), time.Now().Add(modelUnknownTTL)}
		}
	}
	return entities
}

func view(r *directory.Record, user events.ID) directory.Entity {
	if r == nil {
		return directory.Entity{}
	}
	e := directory.Entity{State: directory.StateKnown, Kind: r.Kind, Organization: r.Organization}
	for _, member := range r.Members {
		e.Member = e.Member || member == user
	}
	return e
}

func (m *modelCache) invalidate(c directory.Change) {
	for _, records := range []map[requested]seen{m.known, m.unknown} {
		for key := range records {
			for _, id := range c.Entities {
				if key.id == id {
					delete(records, key)
				}
			}
		}
		if c.All {
			clear(records)
		}
	}
}

// size returns the approximate memory of the records: 192 bytes each, and 16 for each member.
func (m *modelCache) size() (size float64) {
	for _, records := range []map[requested]seen{m.known, m.unknown} {
		for _, s := range records {
			if size += 192; s.record != nil {
				size += 16 * float64(len(s.record.Members))
			}
		}
	}
	return size
}

// TestCached_agreesWithModel compares answers, readings and metrics with a model after each of many random steps:
// lookups of callers of several organizations, changes of the source with and without a notice, its failures, and time.
func TestCached_agreesWithModel(t *testing.T) {
	for seed := range uint64(12) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			s := &source{records: map[events.ID]*directory.Record{}}
			m := &modelCache{source: s, known: map[requested]seen{}, unknown: map[requested]seen{}}
			registry := prometheus.NewPedanticRegistry()
			d := mustCached(t, directory.CachedOptions{
				Source: s, KnownTTL: modelKnownTTL, UnknownTTL: modelUnknownTTL, Registerer: registry,
			})
			callers := []directory.Caller{
				agentOfHome,
				{User: colleague, Organization: home},
				agentOfForeign,
				{User: me, Organization: home, Organizations: []events.ID{other}},
				{User: stranger, Organization: other, Organizations: []events.ID{foreign}},
			}
			ids := []events.ID{me, queue, ownQueue, otherQueue, callList, foreignQueue, unknownEntity}
			some := func() (chosen []events.ID) {
				for range 1 + random.IntN(5) {
					chosen = append(chosen, ids[random.IntN(len(ids))])
				}
				return chosen
			}
			for step := range 400 {
				switch random.IntN(12) {
				case 0:
					change := directory.Change{All: random.IntN(4) == 0, Entities: some()}
					d.Invalidate(change)
					m.invalidate(change)
				case 1, 2:
					for _, id := range some() {
						homes := []events.ID{home, other, foreign}
						members := []events.ID{me, colleague, stranger}
						s.records[id] = directory.NewRecord(
							events.KindQueue, homes[random.IntN(3)], members[random.IntN(3):random.IntN(2)+2]...,
						)
						if random.IntN(4) == 0 {
							delete(s.records, id)
						}
					}
				case 3:
					if s.err = nil; random.IntN(3) > 0 {
						s.err = errors.New("away")
					}
				case 4, 5:
					time.Sleep(time.Duration(1 + random.Int64N(int64(modelUnknownTTL))))
				default:
					caller, chosen := callers[random.IntN(len(callers))], some()
					got, want := lookup(t, d, caller, chosen...), m.lookup(caller, chosen)
					if diff := cmp.Diff(want, got); diff != "" {
						t.Fatalf("seed %d, step %d: %s", seed, step, diff)
					}
				}
				if diff := cmp.Diff(m.counts(), counts(t, registry, s)); diff != "" {
					t.Fatalf("seed %d, step %d: %s", seed, step, diff)
				}
			}
		})
	}
}

// cacheCounts are metrics of a Cached directory.
type cacheCounts struct{ Hits, Misses, OK, Failed, Refused, IDs, Bytes float64 }

func (m *modelCache) counts() cacheCounts {
	return cacheCounts{m.hits, m.misses, m.ok, m.failed, m.refused, m.ids, m.size()}
}

func counts(t *testing.T, registry *prometheus.Registry, s *source) cacheCounts {
	t.Helper()
	lookups := mustReadResults(t, registry, "rte_authz_directory_lookups_total")
	fetches := mustReadResults(t, registry, "rte_authz_directory_fetches_total")
	return cacheCounts{
		lookups["hit"], lookups["miss"], fetches["ok"], fetches["failed"], fetches["refused"], float64(s.ids.Load()),
		rtetest.MustReadMetric(t, registry, "rte_authz_directory_cache_bytes"),
	}
}

// mustReadResults reads a counter by its result.
func mustReadResults(t *testing.T, registry *prometheus.Registry, name string) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	results := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if family.GetName() == name {
				results[metric.GetLabel()[0].GetValue()] = metric.GetCounter().GetValue()
			}
		}
	}
	return results
}
