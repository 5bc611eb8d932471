package subscriptions_test

import (
	"testing"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/subscriptions"
)

type client struct{ ended bool }

func hasEnded(c *client) bool { return c.ended }

func TestTable(t *testing.T) {
	setup := func() (*subscriptions.Entry, *subscriptions.Table[*client]) {
		return subscriptions.NewRegistry().Acquire(topic(1)), subscriptions.NewTable[*client]()
	}
	t.Run("lists who was added with the id", func(t *testing.T) {
		e, table := setup()
		c, id := &client{}, events.NewID()
		table.Add(e, c, id)
		got := table.Subscribers(e)
		if len(got) != 1 || got[0].Who != c || got[0].ID != id {
			t.Errorf("subscribers %v", got)
		}
		if _, listeners := e.Shards(); listeners != 1 {
			t.Errorf("%d listeners", listeners)
		}
	})
	t.Run("says which removal was the last", func(t *testing.T) {
		e, table := setup()
		a, b := &client{}, &client{}
		table.Add(e, a, events.NewID())
		table.Add(e, b, events.NewID())
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
			table.Add(e, clients[i], events.NewID())
		}
		for i, c := range clients {
			c.ended = true
			empty := table.Abandon(e, hasEnded)
			if empty != (i == len(clients)-1) {
				t.Fatalf("after %d ends: empty %v", i+1, empty)
			}
			alive := 0
			for _, s := range table.Subscribers(e) {
				if !s.Who.ended {
					alive++
				}
			}
			if want := len(clients) - i - 1; alive != want {
				t.Fatalf("%d alive, want %d", alive, want)
			}
			if stale := len(table.Subscribers(e)) - alive; stale > alive {
				t.Fatalf("%d ended subscribers kept beside %d", stale, alive)
			}
		}
		if _, listeners := e.Shards(); listeners != 0 || table.Len() != 0 {
			t.Errorf("%d listeners and %d topics left behind", listeners, table.Len())
		}
	})
	t.Run("counts one end once when a sweep took it along", func(t *testing.T) {
		e, table := setup()
		a, b := &client{ended: true}, &client{ended: true}
		table.Add(e, a, events.NewID())
		table.Add(e, b, events.NewID())
		table.Abandon(e, hasEnded)
		table.Abandon(e, hasEnded)
		if _, listeners := e.Shards(); listeners != 0 || table.Len() != 0 {
			t.Errorf("%d listeners and %d topics left behind", listeners, table.Len())
		}
	})
}

func BenchmarkTable_Abandon(b *testing.B) {
	e, table := subscriptions.NewRegistry().Acquire(topic(1)), subscriptions.NewTable[*client]()
	clients := make([]*client, b.N)
	for i := range clients {
		clients[i] = &client{}
		table.Add(e, clients[i], events.ID{})
	}
	b.ResetTimer()
	for _, c := range clients {
		c.ended = true
		table.Abandon(e, hasEnded)
	}
}
