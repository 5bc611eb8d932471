package fanout

import (
	"maps"
	"math"
	"slices"

	"github.com/rte-server/rte-server/internal/events"
)

// minWatched is how many states of a topic may be remembered before those that nobody asks for are looked for.
const minWatched = 64

// watched is what a shard remembers of a topic while states of it are replayed. It does not hold many more than the states
// that had events since the oldest of those replays began, and no replay lasts for long.
type watched struct {
	replays map[*Replay]struct{}  // thousands, if clients come back together
	last    map[events.ID]numbers // of the last events, by state
	limit   int                   // of last: when it holds so many it is swept
}

// numbers are those of the last event that was sent in each protocol: one that came before the first connection of a
// protocol was opened has no frame for it.
type numbers [numProtocols]uint64

func newWatched() *watched {
	return &watched{replays: map[*Replay]struct{}{}, last: map[events.ID]numbers{}, limit: minWatched}
}

// note remembers that a state event has passed.
func (w *watched) note(b *broadcast, number uint64) {
	last := w.last[b.key]
	for protocol := range last {
		if b.frames[protocol].Bytes != nil {
			last[protocol] = number
		}
	}
	w.last[b.key] = last
	if len(w.last) >= w.limit {
		w.sweep()
	}
}

// sweep forgets the events that came before all replays.
func (w *watched) sweep() {
	oldest := uint64(math.MaxUint64)
	for r := range w.replays {
		oldest = min(oldest, r.since)
	}
	maps.DeleteFunc(w.last, func(_ events.ID, last numbers) bool { return slices.Max(last[:]) <= oldest })
	w.limit = max(2*len(w.last), len(w.replays), minWatched)
}
