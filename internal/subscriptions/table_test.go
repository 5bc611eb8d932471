package subscriptions_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/subscriptions"
)

type client struct{ ended bool }

type subscription = subscriptions.Subscriber[*client]

func newTable() *table {
	return subscriptions.NewTable[organization](func(c *client) bool { return c.ended })
}

func all(l *subscriptions.List[*client]) (all []subscription) {
	for i := 0; l != nil && i < l.Len(); i++ {
		all = append(all, *l.At(i))
	}
	return all
}

func TestTable_listsSubscribers(t *testing.T) {
	setup := func() (*entry, *table) {
		return newRegistry().Acquire(topic(1)), newTable()
	}
	t.Run("lists a subscription with its id", func(t *testing.T) {
		e, table := setup()
		c, id := &client{}, events.NewID()
		table.Add(e, subscription{Target: c, ID: id})
		got := all(table.Find(e))
		if len(got) != 1 || got[0].Target != c || got[0].ID != id {
			t.Errorf("subscribers %v", got)
		}
		if _, subscribers := e.Shards(); subscribers != 1 {
			t.Errorf("%d subscribers", subscribers)
		}
	})
	t.Run("reports the last removal", func(t *testing.T) {
		e, table := setup()
		a, b := &client{}, &client{}
		table.Add(e, subscription{Target: a, ID: events.NewID()})
		table.Add(e, subscription{Target: b, ID: events.NewID()})
		if table.Remove(e, a) {
			t.Error("empty with one left")
		}
		if !table.Remove(e, b) || table.Len() != 0 {
			t.Error("not empty after the last")
		}
	})
	t.Run("keeps the others when one of many ends", func(t *testing.T) {
		e, table := setup()
		clients := make([]*client, 1000)
		for i := range clients {
			clients[i] = &client{}
			table.Add(e, subscription{Target: clients[i], ID: events.NewID()})
		}
		for i, c := range clients {
			c.ended = true
			empty := table.Abandon(e)
			if empty != (i == len(clients)-1) {
				t.Fatalf("after %d ends: empty %v", i+1, empty)
			}
			alive := 0
			for _, s := range all(table.Find(e)) {
				if !s.Target.ended {
					alive++
				}
			}
			if want := len(clients) - i - 1; alive != want {
				t.Fatalf("%d alive, want %d", alive, want)
			}
			if stale := len(all(table.Find(e))) - alive; stale > alive {
				t.Fatalf("%d ended subscribers kept beside %d", stale, alive)
			}
		}
		if _, subscribers := e.Shards(); subscribers != 0 || table.Len() != 0 {
			t.Errorf("%d subscribers and %d topics left behind", subscribers, table.Len())
		}
	})
	t.Run("keeps places while it is held", func(t *testing.T) {
		e, table := setup()
		clients := make([]*client, 10)
		for i := range clients {
			clients[i] = &client{}
			table.Add(e, subscription{Target: clients[i], ID: events.NewID()})
		}
		l := table.Find(e)
		l.Hold()
		for i, c := range clients[:9] {
			if i%2 == 0 {
				table.Remove(e, c)
			} else {
				c.ended = true
				table.Abandon(e)
			}
		}
		table.Add(e, subscription{Target: clients[0], ID: events.NewID()})
		if l.Len() != 11 || l.At(9).Target != clients[9] || l.At(0).Target != nil {
			t.Error("moved while held")
		}
		if table.LetGo(e, l) || l.Len() != 2 {
			t.Errorf("%d left, want 2", l.Len())
		}
		table.Remove(e, clients[9])
		l.Hold()
		if table.Remove(e, clients[0]) {
			t.Error("empty while held")
		}
		if !table.LetGo(e, l) || table.Len() != 0 {
			t.Error("not empty after it was let go")
		}
	})
	t.Run("distinguishes a removed subscription from a later one of the same subscriber", func(t *testing.T) {
		e, table := setup()
		clients := make([]*client, 1000)
		for i := range clients {
			clients[i] = &client{}
			table.Add(e, subscription{Target: clients[i], ID: events.NewID()})
		}
		subscribed := map[*client]events.ID{}
		for _, s := range all(table.Find(e)) {
			subscribed[s.Target] = s.ID
		}
		random := rand.New(rand.NewPCG(1, 2))
		for range 20_000 {
			c := clients[random.IntN(len(clients))]
			if _, ok := subscribed[c]; ok {
				delete(subscribed, c)
				table.Remove(e, c)
			} else {
				subscribed[c] = events.NewID()
				table.Add(e, subscription{Target: c, ID: subscribed[c]})
			}
			if random.IntN(200) > 0 {
				continue
			}
			got := map[*client]events.ID{}
			for _, s := range all(table.Find(e)) {
				if s.Target == nil {
					continue
				}
				if _, twice := got[s.Target]; twice {
					t.Fatal("a client is there twice")
				}
				got[s.Target] = s.ID
			}
			if !maps.Equal(got, subscribed) {
				t.Fatalf("%d subscribed, want %d", len(got), len(subscribed))
			}
		}
		for c := range subscribed {
			table.Remove(e, c)
		}
		if _, subscribers := e.Shards(); subscribers != 0 || table.Len() != 0 {
			t.Errorf("%d subscribers and %d topics left behind", subscribers, table.Len())
		}
	})
	t.Run("counts one end once when a sweep took it along", func(t *testing.T) {
		e, table := setup()
		a, b := &client{ended: true}, &client{ended: true}
		table.Add(e, subscription{Target: a, ID: events.NewID()})
		table.Add(e, subscription{Target: b, ID: events.NewID()})
		table.Abandon(e)
		table.Abandon(e)
		if _, subscribers := e.Shards(); subscribers != 0 || table.Len() != 0 {
			t.Errorf("%d subscribers and %d topics left behind", subscribers, table.Len())
		}
	})
}

// BenchmarkTable_Remove takes subscriptions out and adds them again.
func BenchmarkTable_Remove(b *testing.B) {
	for _, n := range []int{10, 1000, 50_000} {
		b.Run(fmt.Sprintf("%dSubs", n), func(b *testing.B) {
			e, table := newRegistry().Acquire(topic(1)), newTable()
			clients := make([]*client, n)
			for i := range clients {
				clients[i] = &client{}
				table.Add(e, subscription{Target: clients[i]})
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				c := clients[(i*7919+n/2)%n]
				table.Remove(e, c)
				table.Add(e, subscription{Target: c})
			}
		})
	}
}

func BenchmarkTable_Abandon(b *testing.B) {
	e, table := newRegistry().Acquire(topic(1)), newTable()
	clients := make([]*client, b.N)
	for i := range clients {
		clients[i] = &client{}
		table.Add(e, subscription{Target: clients[i], ID: events.ID{}})
	}
	b.ResetTimer()
	for _, c := range clients {
		c.ended = true
		table.Abandon(e)
	}
}

// TestTable_takesLittleMemory measures the memory of a subscription, which is 32 bytes and slack.
func TestTable_takesLittleMemory(t *testing.T) {
	r := newRegistry()
	const topics, subscribers = 100, 1000
	var entries []*entry
	for i := range topics {
		entries = append(entries, r.Acquire(events.Topic{Entity: events.ID{byte(i)}, Type: 1}))
	}
	whos := make([]int, subscribers)
	table := subscriptions.NewTable[organization](func(*int) bool { return false })
	heap := func() uint64 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	before := heap()
	for i := range whos {
		for _, e := range entries {
			table.Add(e, subscriptions.Subscriber[*int]{Target: &whos[i]})
		}
	}
	if each := (heap() - before) / (topics * subscribers); each > 44 { // with the slack of lists and allocator
		t.Errorf("a subscription takes %d bytes", each)
	}
	runtime.KeepAlive(table)
}
