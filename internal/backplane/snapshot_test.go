package backplane_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/backplanetest"
	"github.com/rte-server/rte-server/internal/events"
)

// numbered is a state event of a topic.
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

// numbersOf are the numbers of what states have of a topic, in order.
func numbersOf(s *backplane.States, topic events.Topic, now time.Time) (numbers []int) {
	for _, ev := range s.Last(nil, topic, now) {
		numbers = append(numbers, backplanetest.Number(ev.Data))
	}
	slices.Sort(numbers)
	return numbers
}

func TestStates(t *testing.T) {
	catalog := events.Builtin()
	status := backplanetest.Topic(events.NewID(), events.NewID())
	callbacks := events.Topic{Organization: status.Organization, Entity: events.NewID(), Type: events.CallbackChanged}
	start := time.Unix(1_000_000, 0)
	for name, test := range map[string]func(t *testing.T, s *backplane.States, limit *backplane.StatesLimit){
		"has the last state": func(t *testing.T, s *backplane.States, limit *backplane.StatesLimit) {
			for n := range 3 {
				s.Add(catalog, numbered(t, status, n, 60, 10*n, events.ID{}), start, limit)
			}
			equal(t, numbersOf(s, status, start), []int{2})
			equal(t, s.Complete(status), true)
		},
		"has one state for each callback": func(t *testing.T, s *backplane.States, limit *backplane.StatesLimit) {
			for n := range 5 {
				s.Add(catalog, numbered(t, callbacks, n, 60, 0, events.ID{byte(n % 2)}), start, limit)
			}
			equal(t, numbersOf(s, callbacks, start), []int{3, 4})
			equal(t, s.Complete(callbacks), false) // there may be others
			s.SetComplete(callbacks, limit)
			equal(t, s.Complete(callbacks), true)
		},
		"lets states expire": func(t *testing.T, s *backplane.States, limit *backplane.StatesLimit) {
			s.Add(catalog, numbered(t, status, 1, 60, 0, events.ID{}), start, limit)
			equal(t, numbersOf(s, status, start.Add(59*time.Second)), []int{1})
			equal(t, numbersOf(s, status, start.Add(60*time.Second)), []int(nil))
			equal(t, s.Tidy(start.Add(61*time.Second), limit), false)
			equal(t, limit.Used(), int64(0))
		},
		"forgets what was replaced by something that is not kept": func(t *testing.T, s *backplane.States, limit *backplane.StatesLimit) {
			for _, ttl := range []int{0, -1} {
				s.Add(catalog, numbered(t, status, 1, 60, 0, events.ID{}), start, limit)
				s.Add(catalog, numbered(t, status, 2, ttl, 0, events.ID{}), start, limit)
				equal(t, numbersOf(s, status, start), []int(nil))
			}
		},
		"does not grow beyond its memory": func(t *testing.T, s *backplane.States, limit *backplane.StatesLimit) {
			limit.Bytes = 20_000
			for n := range 1000 {
				s.Add(catalog, numbered(t, backplanetest.Topic(status.Organization, events.NewID()), n, 60, 500, events.ID{}), start, limit)
			}
			if limit.Used() > limit.Bytes || limit.Full() < 900 {
				t.Errorf("%d bytes used of %d, %d times full", limit.Used(), limit.Bytes, limit.Full())
			}
			s.Clear(limit)
			equal(t, limit.Used(), int64(0))
		},
		"has no older state where there was no room for the newer": func(t *testing.T, s *backplane.States, limit *backplane.StatesLimit) {
			limit.Bytes = 2000
			s.Add(catalog, numbered(t, status, 1, 60, 0, events.ID{}), start, limit)
			s.Add(catalog, numbered(t, status, 2, 60, 3000, events.ID{}), start, limit)
			equal(t, numbersOf(s, status, start), []int(nil))
			equal(t, s.Complete(status), false)
			equal(t, limit.Used(), int64(0))
		},
		"keeps a thousand states of a topic": func(t *testing.T, s *backplane.States, limit *backplane.StatesLimit) {
			for n := range 1100 {
				s.Add(catalog, numbered(t, callbacks, n, 60, 0, events.NewID()), start, limit)
			}
			equal(t, len(numbersOf(s, callbacks, start)), 1000)
		},
		"tells a reading what came meanwhile and is not kept": func(t *testing.T, s *backplane.States, limit *backplane.StatesLimit) {
			outdated := func(ttl, padding int, of events.Topic) bool {
				var reading backplane.Reading
				s.Begin(&reading, []events.Topic{status})
				defer s.End(&reading)
				s.Add(catalog, numbered(t, of, 1, ttl, padding, events.ID{}), start, limit)
				return reading.Outdated(status)
			}
			equal(t, outdated(60, 0, status), false) // it is kept, so that what is found is known to be older
			equal(t, outdated(0, 0, status), true)
			equal(t, outdated(0, 0, callbacks), false)
			limit.Bytes = 2000
			equal(t, outdated(60, 3000, status), true)
			limit.Bytes = -1
			equal(t, outdated(60, 0, status), true)
		},
		"tells a reading that events were lost": func(t *testing.T, s *backplane.States, limit *backplane.StatesLimit) {
			var reading, over backplane.Reading
			for _, r := range []*backplane.Reading{&reading, &over} {
				s.Begin(r, []events.Topic{status})
			}
			s.End(&over)
			s.Clear(limit)
			equal(t, reading.Outdated(status), true)
			equal(t, over.Outdated(status), false)
		},
		"is switched off": func(t *testing.T, s *backplane.States, limit *backplane.StatesLimit) {
			limit.Bytes = -1
			s.Add(catalog, numbered(t, status, 1, 60, 0, events.ID{}), start, limit)
			equal(t, s.Any(), false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			test(t, &backplane.States{}, &backplane.StatesLimit{Bytes: backplane.DefaultSnapshotMemory})
		})
	}
}

// TestStates_model compares a random life with the simplest thing that could be right, and looks whether the memory is
// counted.
func TestStates_model(t *testing.T) {
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
		limit := backplane.StatesLimit{Bytes: 1 << 30}
		model := map[key]kept{}
		now := time.Unix(1_000_000, 0)
		for step := range 5000 {
			now = now.Add(time.Duration(random.IntN(2000)) * time.Millisecond)
			topic := topics[random.IntN(len(topics))]
			switch random.IntN(20) {
			case 0:
				s.Tidy(now, &limit)
			case 1:
				s.Clear(&limit)
				equal(t, limit.Used(), int64(0))
				clear(model)
			default:
				k := key{topic: topic}
				callback := events.ID{1: byte(random.IntN(4))}
				if topic.Type == events.CallbackChanged {
					k.callback = callback
				}
				ttl := random.IntN(12) - 1
				s.Add(catalog, numbered(t, topic, step, ttl, random.IntN(50), callback), now, &limit)
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
	if fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestStates_allocations says that a state that replaces one is copied over it.
func TestStates_allocations(t *testing.T) {
	var s backplane.States
	limit := backplane.StatesLimit{Bytes: 1 << 20}
	topic, now := backplanetest.Topic(events.NewID(), events.NewID()), time.Now()
	ev := numbered(t, topic, 1, 60, 700, events.ID{})
	if allocs := testing.AllocsPerRun(100, func() { s.Add(events.Builtin(), ev, now, &limit) }); allocs != 0 {
		t.Errorf("%v allocations per event, want none", allocs)
	}
}

// BenchmarkStates is what keeping states costs a lane, per event of 1 KB.
func BenchmarkStates(b *testing.B) {
	for name, topics := range map[string]int{"1Topic": 1, "10000Topics": 10_000} {
		b.Run(name, func(b *testing.B) {
			var s backplane.States
			limit := backplane.StatesLimit{Bytes: 1 << 30}
			catalog, now, organization := events.Builtin(), time.Now(), events.NewID()
			all := make([]*events.Event, topics)
			for n := range all {
				all[n] = numbered(b, backplanetest.Topic(organization, events.NewID()), n, 60, 700, events.ID{})
			}
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				s.Add(catalog, all[n%topics], now, &limit)
			}
		})
	}
}
