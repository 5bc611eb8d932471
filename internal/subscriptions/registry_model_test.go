package subscriptions_test

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/subscriptions"
)

// generation is what the registry of the model keeps for an organization: how often it has begun.
type generation struct {
	id     events.ID
	number int
}

// Whoever acquires and releases topics in any order: a topic has one entry, its organization one value, from the first
// user to the last, and the lists of both are complete.
func TestRegistry_model(t *testing.T) {
	for seed := range uint64(4) {
		random := rand.New(rand.NewPCG(seed, 0))
		begun := map[events.ID]int{}
		r := subscriptions.NewRegistry(func(id events.ID) generation {
			begun[id]++
			return generation{id, begun[id]}
		})
		users := map[events.Topic][]*subscriptions.Entry[generation]{}
		kept := map[events.ID]*generation{}
		topicsOf := map[events.ID]int{}
		count := []int{40, 4000}[seed%2]
		for step := range 20_000 {
			topic := topic(random.IntN(count))
			organization := topic.Organization
			// The registry grows in the first half, and shrinks in the second one.
			if n := len(users[topic]); random.IntN(10) < 3+step/4000 && n > 0 {
				r.Release(users[topic][n-1])
				if users[topic] = users[topic][:n-1]; n == 1 {
					delete(users, topic)
					topicsOf[organization]--
				}
				if topicsOf[organization] == 0 {
					delete(topicsOf, organization)
					delete(kept, organization)
				}
			} else {
				e := r.Acquire(topic)
				if n == 0 {
					topicsOf[organization]++
				} else if e != users[topic][0] {
					t.Fatalf("step %d: topic %v has two entries", step, topic)
				}
				users[topic] = append(users[topic], e)
				if kept[organization] == nil {
					kept[organization] = e.Organization()
				}
				if o := e.Organization(); o != kept[organization] || *o != (generation{organization, begun[organization]}) {
					t.Fatalf("step %d: organization %v has %v", step, organization, *o)
				}
			}
			e := r.Find(topic)
			if e == nil != (len(users[topic]) == 0) || e != nil && e != users[topic][0] {
				t.Fatalf("step %d: found %v with %d users", step, e, len(users[topic]))
			}
			if step%500 == 0 {
				compareRegistry(t, r, users, kept)
			}
		}
		for topic, entries := range users {
			for _, e := range entries {
				r.Release(e)
			}
			delete(users, topic)
		}
		clear(kept)
		compareRegistry(t, r, users, kept)
	}
}

// compareRegistry compares the lists of a registry with the model.
func compareRegistry(
	t *testing.T, r *subscriptions.Registry[generation], users map[events.Topic][]*subscriptions.Entry[generation],
	kept map[events.ID]*generation,
) {
	t.Helper()
	if n := r.Len(); n != len(users) {
		t.Fatalf("%d topics, want %d", n, len(users))
	}
	seen := map[events.Topic]bool{}
	r.All(func(e *subscriptions.Entry[generation]) bool {
		if seen[e.Topic()] || len(users[e.Topic()]) == 0 || users[e.Topic()][0] != e {
			t.Fatalf("All names %v, which was released or named before", e.Topic())
		}
		seen[e.Topic()] = true
		return true
	})
	if len(seen) != len(users) {
		t.Fatalf("All names %d topics, want %d", len(seen), len(users))
	}
	named := 0
	r.All(func(*subscriptions.Entry[generation]) bool { named++; return named < 3 })
	if want := min(3, len(users)); named != want {
		t.Fatalf("All went on to %d topics, want %d", named, want)
	}
	organizations := map[events.ID]*generation{}
	r.Organizations(func(id events.ID, g *generation) { organizations[id] = g })
	if diff := cmp.Diff(kept, organizations, cmp.AllowUnexported(generation{})); diff != "" {
		t.Fatalf("organizations (-want +got)\n%s", diff)
	}
}
