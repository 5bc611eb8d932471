package backplane_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/backplanetest"
	"github.com/rte-server/rte-server/internal/events"
)

// numbered returns a state event of a topic.
func numbered(t testing.TB, topic events.Topic, number, ttl, padding int, callback events.ID) *events.Event {
	t.Helper()
	made := backplanetest.NewEvent(topic, number)
	made.TTLSeconds, made.Padding, made.CallBack = ttl, padding, callback
	ev, err := events.Builtin().Decode(made.JSON())
	if err != nil {
		t.Fatal(err)
	}
	return &ev
}

// numbersOf returns the numbers of the retained states of a topic, in order.
func numbersOf(s *backplane.States, topic events.Topic, now time.Time) (numbers []int) {
	for _, ev := range s.Last(nil, topic, now) {
		numbers = append(numbers, backplanetest.Number(ev.Data))
	}
	slices.Sort(numbers)
	return numbers
}

type (
	states      = backplane.States
	statesLimit = backplane.StatesLimit
)

func newLimit(bytes int64) *statesLimit {
	return &statesLimit{SharedMemory: backplane.SharedMemory{Bytes: bytes}}
}

func TestStates_retainsLastStates(t *testing.T) {
	catalog := events.Builtin()
	status := backplanetest.Topic(events.NewID(), events.NewID())
	callbacks := events.Topic{Organization: status.Organization, Entity: events.NewID(), Type: events.CallbackChanged}
	start := time.Unix(1_000_000, 0)
	for name, test := range map[string]func(t *testing.T, s *states, limit *statesLimit){
		"retains the last state": func(t *testing.T, s *states, limit *statesLimit) {
			for n := range 3 {
				s.Add(catalog, numbered(t, status, n, 60, 10*n, events.ID{}), start, limit)
			}
			equal(t, numbersOf(s, status, start), []int{2})
			equal(t, s.Complete(status), true)
		},
		"retains one state for each callback": func(t *testing.T, s *states, limit *statesLimit) {
			for n := range 5 {
				s.Add(catalog, numbered(t, callbacks, n, 60, 0, events.ID{byte(n % 2)}), start, limit)
			}
			equal(t, numbersOf(s, callbacks, start), []int{3, 4})
			equal(t, s.Complete(callbacks), false) // there may be others
			s.SetComplete(callbacks, limit)
			equal(t, s.Complete(callbacks), true)
		},
		"removes expired states": func(t *testing.T, s *states, limit *statesLimit) {
			s.Add(catalog, numbered(t, status, 1, 60, 0, events.ID{}), start, limit)
			equal(t, numbersOf(s, status, start.Add(59*time.Second)), []int{1})
			equal(t, numbersOf(s, status, start.Add(60*time.Second)), []int(nil))
			equal(t, s.Tidy(start.Add(61*time.Second), limit), false)
			equal(t, limit.Used(), int64(0))
		},
		"removes a state that an event without lifetime replaces": func(t *testing.T, s *states, limit *statesLimit) {
			for _, ttl := range []int{0, -1} {
				s.Add(catalog, numbered(t, status, 1, 60, 0, events.ID{}), start, limit)
				s.Add(catalog, numbered(t, status, 2, ttl, 0, events.ID{}), start, limit)
				equal(t, numbersOf(s, status, start), []int(nil))
			}
		},
		"stays within its memory": func(t *testing.T, s *states, limit *statesLimit) {
			limit.Bytes = 20_000
			for n := range 1000 {
				topic := backplanetest.Topic(status.Organization, events.NewID())
				s.Add(catalog, numbered(t, topic, n, 60, 500, events.ID{}), start, limit)
			}
			if limit.Used() > limit.Bytes || limit.Full() < 900 {
				t.Errorf("%d bytes used of %d, %d times full", limit.Used(), limit.Bytes, limit.Full())
			}
			s.Clear(limit)
			equal(t, limit.Used(), int64(0))
		},
		"removes an older state when the newer does not fit": func(t *testing.T, s *states, limit *statesLimit) {
			limit.Bytes = 2000
			s.Add(catalog, numbered(t, status, 1, 60, 0, events.ID{}), start, limit)
			s.Add(catalog, numbered(t, status, 2, 60, 3000, events.ID{}), start, limit)
			equal(t, numbersOf(s, status, start), []int(nil))
			equal(t, s.Complete(status), false)
			equal(t, limit.Used(), int64(0))
		},
		"retains a thousand states of a topic": func(t *testing.T, s *states, limit *statesLimit) {
			for n := range 1100 {
				s.Add(catalog, numbered(t, callbacks, n, 60, 0, events.NewID()), start, limit)
			}
			equal(t, len(numbersOf(s, callbacks, start)), 1000)
		},
		"marks a read as outdated when a state is not retained": func(t *testing.T, s *states, limit *statesLimit) {
			outdated := func(ttl, padding int, of events.Topic) bool {
				var reading backplane.Reading
				s.Begin(&reading, []events.Topic{status})
				defer s.End(&reading)
				s.Add(catalog, numbered(t, of, 1, ttl, padding, events.ID{}), start, limit)
				return reading.Outdated(status)
			}
			equal(t, outdated(60, 0, status), false) // it is retained, so the state that was read is known to be older
			equal(t, outdated(0, 0, status), true)
			equal(t, outdated(0, 0, callbacks), false)
			limit.Bytes = 2000
			equal(t, outdated(60, 3000, status), true)
			limit.Bytes = -1
			equal(t, outdated(60, 0, status), true)
		},
		"marks a read as outdated when events were lost": func(t *testing.T, s *states, limit *statesLimit) {
			var reading, over backplane.Reading
			for _, r := range []*backplane.Reading{&reading, &over} {
				s.Begin(r, []events.Topic{status})
			}
			s.End(&over)
			s.Clear(limit)
			equal(t, reading.Outdated(status), true)
			equal(t, over.Outdated(status), false)
		},
		"retains nothing when switched off": func(t *testing.T, s *states, limit *statesLimit) {
			limit.Bytes = -1
			s.Add(catalog, numbered(t, status, 1, 60, 0, events.ID{}), start, limit)
			equal(t, s.Any(), false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			test(t, &backplane.States{}, newLimit(backplane.DefaultSnapshotMemory))
		})
	}
}

// TestStates_agreesWithAModel compares a random life with a map, and checks that the memory is counted.
func TestStates_agreesWithAModel(t *testing.T) {
	type key struct {
		topic    events.Topic
		callback events.ID
	}
	type kept struct {
		number  int
		expires time.Time
	}
	catalog, organization := events.Builtin(), events.NewID()
	var topics []events.Topic
	for n := range 6 {
		topic := backplanetest.Topic(organization, events.NewID())
		if n%2 == 1 {
			topic.Type = events.CallbackChanged
		}
		topics = append(topics, topic)
	}
	for seed := range uint64(3) {
		random := rand.New(rand.NewPCG(seed, 0))
		var s backplane.States
		limit := newLimit(1 << 30)
		model := map[key]kept{}
		now := time.Unix(1_000_000, 0)
		for step := range 5000 {
			now = now.Add(time.Duration(random.IntN(2000)) * time.Millisecond)
			topic := topics[random.IntN(len(topics))]
			switch random.IntN(20) {
			case 0:
				s.Tidy(now, limit)
			case 1:
				s.Clear(limit)
				equal(t, limit.Used(), int64(0))
				clear(model)
			default:
				k := key{topic: topic}
				callback := events.ID{1: byte(random.IntN(4))}
				if topic.Type == events.CallbackChanged {
					k.callback = callback
				}
				ttl := random.IntN(12) - 1
				s.Add(catalog, numbered(t, topic, step, ttl, random.IntN(50), callback), now, limit)
				model[k] = kept{step, now.Add(time.Duration(ttl) * time.Second)}
			}
			for _, topic := range topics {
				var wants []int
				for k, v := range model {
					if k.topic == topic && now.Before(v.expires) {
						wants = append(wants, v.number)
					}
				}
				slices.Sort(wants)
				equal(t, numbersOf(&s, topic, now), wants)
			}
			if t.Failed() {
				t.Fatalf("seed %d, step %d", seed, step)
			}
		}
	}
}

func equal(t *testing.T, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// A state that replaces one is copied over it.
func TestStates_allocatesNothingPerEvent(t *testing.T) {
	var s backplane.States
	limit := newLimit(1 << 20)
	topic, now := backplanetest.Topic(events.NewID(), events.NewID()), time.Now()
	ev := numbered(t, topic, 1, 60, 700, events.ID{})
	if allocs := testing.AllocsPerRun(100, func() { s.Add(events.Builtin(), ev, now, limit) }); allocs != 0 {
		t.Errorf("%v allocations per event, want none", allocs)
	}
}

// BenchmarkStates measures the cost of retaining a state of 1 KB.
func BenchmarkStates(b *testing.B) {
	for name, topics := range map[string]int{"1Topic": 1, "10000Topics": 10_000} {
		b.Run(name, func(b *testing.B) {
			var s backplane.States
			limit := newLimit(1 << 30)
			catalog, now, organization := events.Builtin(), time.Now(), events.NewID()
			all := make([]*events.Event, topics)
			for n := range all {
				all[n] = numbered(b, backplanetest.Topic(organization, events.NewID()), n, 60, 700, events.ID{})
			}
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				s.Add(catalog, all[n%topics], now, limit)
			}
		})
	}
}

// One organization filled the memory, and no other one had snapshots.
func TestStatesLimit_sharesMemoryAmongOrganizations(t *testing.T) {
	const organizations = 4
	catalog, now := events.Builtin(), time.Now()
	limit := newLimit(1 << 20)
	fill := func(s *states, organization events.ID, count, ttl int) (topics []events.Topic) {
		for n := range count {
			topic := backplanetest.Topic(organization, events.NewID())
			s.Add(catalog, numbered(t, topic, n, ttl, 500, events.ID{}), now, limit)
			topics = append(topics, topic)
		}
		return topics
	}
	retained := func(s *states, topics []events.Topic) (n int) {
		for _, topic := range topics {
			n += len(numbersOf(s, topic, now))
		}
		return n
	}
	var noisy, quiet states
	noise := fill(&noisy, events.NewID(), 5000, 3600)
	alone := limit.Used()
	if alone < limit.Bytes*3/4 || alone > limit.Bytes {
		t.Errorf("one organization uses %d of %d bytes", alone, limit.Bytes)
	}

	// A newcomer has room at once, and keeps its states.
	few := events.NewID()
	topics := fill(&quiet, few, 50, 60)
	equal(t, retained(&quiet, topics), len(topics))
	fill(&noisy, noise[0].Organization, 5000, 3600)
	noisy.Tidy(now, limit)
	equal(t, retained(&quiet, topics), len(topics))

	// Others that need as much as they can get have a fair part each.
	others := make([]states, organizations)
	for range 100 {
		for i := range others {
			fill(&others[i], events.ID{byte(i), 15: 1}, 20, 3600)
		}
		noisy.Tidy(now, limit)
	}
	equal(t, retained(&quiet, topics), len(topics))
	if used := limit.Used(); used > limit.Bytes {
		t.Errorf("%d bytes used of %d", used, limit.Bytes)
	}
	for i := range others {
		before := limit.Used()
		others[i].Clear(limit)
		if part := before - limit.Used(); part < limit.Bytes/(organizations+4) {
			t.Errorf("organization %d has %d bytes of %d", i, part, limit.Bytes)
		}
	}
	noisy.Clear(limit)
	quiet.Clear(limit)
	equal(t, limit.Used(), int64(0))
	// Nothing is kept of organizations without states: one that is alone again can use most of the memory.
	fill(&noisy, noise[0].Organization, 5000, 3600)
	if limit.Used() < alone-2000 {
		t.Errorf("%d bytes used, %d before", limit.Used(), alone)
	}
}

// An organization above its fair part gives memory back with each of its events, before Tidy comes by.
func TestStatesLimit_takesMemoryBackWithEvents(t *testing.T) {
	catalog, now := events.Builtin(), time.Now()
	limit := newLimit(1 << 20)
	var noisy, other states
	organization := events.NewID()
	var noise []*events.Event
	for n := range 2000 {
		noise = append(noise, numbered(t, backplanetest.Topic(organization, events.NewID()), n, 60, 500, events.ID{}))
		noisy.Add(catalog, noise[n], now, limit)
	}
	for range 20 {
		for n := range 50 {
			topic := backplanetest.Topic(events.ID{15: 1}, events.ID{byte(n), 15: 1})
			other.Add(catalog, numbered(t, topic, n, 60, 1000, events.ID{}), now, limit)
		}
		for _, ev := range noise {
			noisy.Add(catalog, ev, now, limit)
		}
	}
	retained := 0
	for n := range 50 {
		retained += len(numbersOf(&other, backplanetest.Topic(events.ID{15: 1}, events.ID{byte(n), 15: 1}), now))
	}
	equal(t, retained, 50)
	if used := limit.Used(); used > limit.Bytes {
		t.Errorf("%d bytes used of %d", used, limit.Bytes)
	}
}
