package subscriptions_test

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/subscriptions"
)

type (
	registry = subscriptions.Registry[organization]
	entry    = subscriptions.Entry[organization]
	table    = subscriptions.Table[organization, *client]
)

// organization is what these tests keep for each organization: its id.
type organization struct{ id events.ID }

func newRegistry() *registry {
	return subscriptions.NewRegistry(func(id events.ID) organization { return organization{id} })
}

func topic(n int) events.Topic {
	return events.Topic{
		Organization: events.ID{byte(n % 7)},
		Entity:       events.ID{byte(n), byte(n >> 8), byte(n >> 16)},
		Type:         events.Type(n % 3),
	}
}

func TestRegistry_countsUsers(t *testing.T) {
	t.Run("finds nothing without users", func(t *testing.T) {
		if e := newRegistry().Find(topic(1)); e != nil {
			t.Errorf("found %v", e.Topic())
		}
	})
	t.Run("has one entry per topic until the last user leaves", func(t *testing.T) {
		r := newRegistry()
		first, second := r.Acquire(topic(1)), r.Acquire(topic(1))
		if first != second || first.Topic() != topic(1) || r.Find(topic(1)) != first {
			t.Fatal("two entries for one topic")
		}
		r.Release(first)
		if r.Find(topic(1)) != first {
			t.Error("gone while in use")
		}
		r.Release(second)
		if r.Find(topic(1)) != nil || r.Len() != 0 {
			t.Error("still there after the last release")
		}
	})
	t.Run("agrees with a map through random use", func(t *testing.T) {
		r := newRegistry()
		model := map[events.Topic]int{}
		random := rand.New(rand.NewPCG(1, 2))
		for step := range 200_000 {
			// The range breathes, so that the index grows, shrinks and fills with tombstones.
			n := topic(random.IntN(1 + (step/1000)%50*200))
			if model[n] > 0 && random.IntN(2) == 0 {
				r.Release(r.Find(n))
				model[n]--
				if model[n] == 0 {
					delete(model, n)
				}
			} else {
				r.Acquire(n)
				model[n]++
			}
			if e := r.Find(n); (e != nil) != (model[n] > 0) {
				t.Fatalf("step %d: found %v, in use %d times", step, e, model[n])
			}
		}
		if r.Len() != len(model) {
			t.Errorf("%d topics, want %d", r.Len(), len(model))
		}
		for n, users := range model {
			for range users {
				r.Release(r.Find(n))
			}
		}
		if r.Len() != 0 {
			t.Errorf("%d topics left behind", r.Len())
		}
	})
	t.Run("answers readers while writers change it", func(t *testing.T) {
		r := newRegistry()
		constant := r.Acquire(topic(42))
		stop := make(chan struct{})
		var readers, writers sync.WaitGroup
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if r.Find(topic(42)) != constant {
					t.Error("lost an entry that is in use")
					return
				}
			}
		})
		for w := range 4 {
			writers.Go(func() {
				for i := range 20_000 {
					r.Release(r.Acquire(topic(100 + w + i%3000*4)))
				}
			})
		}
		writers.Wait()
		close(stop)
		readers.Wait()
	})
}

func TestEntry_namesItsShards(t *testing.T) {
	t.Run("names the shards with subscribers", func(t *testing.T) {
		e := newRegistry().Acquire(topic(1))
		e.AddShard(0)
		e.AddShard(31)
		if mask, _ := e.Shards(); mask != 1|1<<31 {
			t.Errorf("shards %b", mask)
		}
		e.RemoveShard(0, e.Version())
		if mask, _ := e.Shards(); mask != 1<<31 {
			t.Errorf("shards %b after forgetting 0", mask)
		}
	})
	t.Run("keeps a shard that is added again in between", func(t *testing.T) {
		e := newRegistry().Acquire(topic(1))
		e.AddShard(3)
		version := e.Version()
		e.AddShard(3)
		e.RemoveShard(3, version)
		if mask, _ := e.Shards(); mask != 1<<3 {
			t.Errorf("shards %b: an event would be lost", mask)
		}
	})
}

func TestRegistry_Find_allocatesNothing(t *testing.T) {
	r := newRegistry()
	r.Acquire(topic(1))
	allocs := testing.AllocsPerRun(1000, func() {
		r.Find(topic(1))
		r.Find(topic(2))
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func BenchmarkRegistry_Find(b *testing.B) {
	for name, size := range map[string]int{"1Topic": 1, "2000Topics": 2000, "1MTopics": 1_000_000} {
		r := newRegistry()
		for n := range size {
			r.Acquire(topic(n))
		}
		b.Run(name+"/hit", func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for n := 0; pb.Next(); n++ {
					r.Find(topic(n % size))
				}
			})
		})
		b.Run(name+"/miss", func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for n := size; pb.Next(); n++ {
					r.Find(topic(n))
				}
			})
		})
	}
}

// BenchmarkRegistry_Change measures the first subscription to a topic and its end, on all processors. `make scaling`
// runs it.
func BenchmarkRegistry_Change(b *testing.B) {
	r := newRegistry()
	var users atomic.Int64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for n := int(users.Add(1)) << 16; pb.Next(); n++ {
			r.Release(r.Acquire(topic(n)))
		}
	})
}
