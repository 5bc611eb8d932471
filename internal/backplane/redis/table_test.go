package redis

import (
	"errors"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

// mustTable makes a table with a link, to which all lanes belong, and lanes that were taken from its queue of lanes to look
// up and sent elsewhere there.
func mustTable(tb testing.TB, lanes int) (*table, *link, []*lane) {
	tb.Helper()
	home := newLink(nil, "home", nil, nil)
	t := newTable(time.Minute, func(string) *link { return home }, func(*lane) {})
	for i := range lanes {
		name := backplane.Layout{}.Lane(events.ID{1, byte(i >> 16), byte(i >> 8), byte(i)}, events.ID{})
		if t.acquire(name, 1) == nil {
			tb.Fatalf("%s is no lane", name)
		}
	}
	var all []*lane
	for batch := t.scouts(home); len(batch) > 0; batch = t.scouts(home) {
		found := make([]place, len(batch))
		for i := range found {
			found[i].elsewhere = errElsewhere
		}
		t.located(home, batch, found)
		all = append(all, batch...)
	}
	if len(all) != lanes {
		tb.Fatalf("%d lanes are looked up, want %d", len(all), lanes)
	}
	return t, home, all
}

var errElsewhere = errors.New("MOVED 1 127.0.0.1:1")

func unchanged() bool { return false }

func TestTable_lanesSentElsewhereAreAskedForAgain(t *testing.T) {
	table, home, lanes := mustTable(t, 3)
	if again := table.scouts(home); len(again) > 0 {
		t.Fatalf("%d lanes are looked up before anything is known", len(again))
	}
	table.reroute(unchanged)
	if again := table.scouts(home); len(again) != len(lanes) {
		t.Errorf("%d lanes are looked up again, want %d", len(again), len(lanes))
	}
	table.reroute(unchanged)
	if again := table.scouts(home); len(again) > 0 {
		t.Errorf("%d lanes are looked up once more", len(again))
	}
}

func TestTable_lanesOfChannelsThatMovedAreAskedForAgain(t *testing.T) {
	table, home, lanes := mustTable(t, 2)
	table.reroute(unchanged)
	table.located(home, table.scouts(home), make([]place, len(lanes)))
	if v, batch := table.batch(home, 10); v != verbJoin || len(batch) != len(lanes) {
		t.Fatalf("%d lanes are subscribed by verb %d", len(batch), v)
	}
	for _, l := range lanes {
		table.join(home, l, "history")
	}
	table.moved(home, lanes[:1], nil, "")
	if _, batch := table.batch(home, 10); len(batch) > 0 {
		t.Fatalf("%d lanes are subscribed before anything is known", len(batch))
	}
	table.reroute(unchanged)
	if v, batch := table.batch(home, 10); v != verbJoin || len(batch) != 1 || batch[0] != lanes[0] {
		t.Errorf("%d lanes are subscribed by verb %d, want the one that moved", len(batch), v)
	}
}

func TestTable_lanesGivenUpElsewhereAreNotAskedForAgain(t *testing.T) {
	table, home, lanes := mustTable(t, 1)
	table.release(lanes[0].name, 1)
	table.through(lanes[0])
	table.reroute(unchanged)
	if again := table.scouts(home); len(again) > 0 || table.find(lanes[0].name) != nil {
		t.Error("a lane that has ended is looked up again")
	}
}

// BenchmarkTable_reroute takes what a node does each second in a cluster where nothing moves.
func BenchmarkTable_reroute(b *testing.B) {
	table, home, _ := mustTable(b, 100_000)
	table.reroute(unchanged)
	for batch := table.scouts(home); len(batch) > 0; batch = table.scouts(home) {
		table.located(home, batch, make([]place, len(batch)))
	}
	for b.Loop() {
		table.reroute(unchanged)
	}
}

// BenchmarkSlot takes the slot of a lane.
func BenchmarkSlot(b *testing.B) {
	name := backplane.Layout{}.Lane(events.ID{1}, events.ID{})
	for b.Loop() {
		slot(name)
	}
}
