package tap

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/trace"
)

// Filter selects events. Its zero value selects all of them.
type Filter struct {
	Organization, Entity events.ID     // zero: any
	Types                []events.Type // empty: any
	// Subscribed reports whether the watched connections may have a subscription to a topic; it must not wait. nil: the
	// filter selects events of all connections.
	Subscribed func(events.Topic) bool
	// Sample is the part of the events to copy, at most 1. All nodes select the same events. 0: all.
	Sample float64
	// WithoutData leaves out the data of the events.
	WithoutData bool
}

// matches reports whether the filter selects an event, apart from the sample.
func (f *Filter) matches(ev *events.Event, outcome trace.Outcome) bool {
	return (f.Organization == events.ID{} || f.Organization == ev.Organization) &&
		(f.Entity == events.ID{} || f.Entity == ev.Entity) &&
		(len(f.Types) == 0 || slices.Contains(f.Types, ev.Type)) &&
		(f.Subscribed == nil || outcome == trace.Matched && f.Subscribed(ev.Topic))
}

// sampled reports whether the sample has the event. The Id decides, so that all nodes agree.
func (f *Filter) sampled(ev *events.Event) bool {
	if f.Sample <= 0 || f.Sample >= 1 {
		return true
	}
	if ev.ID == (events.ID{}) {
		return rand.Float64() < f.Sample //nolint:gosec // no secret
	}
	const spread = 0x9e3779b97f4a7c15
	hash := (binary.LittleEndian.Uint64(ev.ID[:8])*spread ^ binary.LittleEndian.Uint64(ev.ID[8:])) * spread
	return float64(hash>>11)/(1<<53) < math.Min(f.Sample, 1)
}
