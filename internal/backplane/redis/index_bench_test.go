package redis

import (
	"testing"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

// BenchmarkLaneIndex_reroute measures what a node does each second in a cluster where no slot moves.
func BenchmarkLaneIndex_reroute(b *testing.B) {
	r := newRouted()
	for range 100_000 {
		r.wants()
	}
	for lanes := r.takeLookups(r.links[0]); len(lanes) > 0; lanes = r.takeLookups(r.links[0]) {
		r.lookedUp(0, lanes, 1)
	}
	for b.Loop() {
		r.reroute(func() bool { return false })
	}
}

// BenchmarkSlot measures the slot of a lane.
func BenchmarkSlot(b *testing.B) {
	name := backplane.Layout{}.Lane(events.ID{1}, events.ID{})
	for b.Loop() {
		slot(name)
	}
}
