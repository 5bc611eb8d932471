package fanout

import (
	"maps"
	"math"
	"slices"

	"github.com/rte-server/rte-server/internal/events"
)

// minWatched is the number of states of a topic that may be recorded before states that no replay needs are removed.
const minWatched = 64

// watched records the state events of a topic while states of it are replayed. It grows to about the number of states
// with an event since the oldest of these replays began, and every replay ends within the time limit of a call.
type watched struct {
	replays map[*Replay]struct{}  // thousands, if clients reconnect together
	last    map[events.ID]numbers // of the last events, by state
	limit   int                   // length of last from which it is swept
}

// numbers holds the number of the last event that was sent in each protocol. An event from before the first connection
// of a protocol has no frame for it.
type numbers [numProtocols]uint64

func newWatched() *watched {
	return &watched{replays: map[*Replay]struct{}{}, last: map[events.ID]numbers{}, limit: minWatched}
}

// record records the number of a state event.
func (w *watched) record(b *broadcast, number uint64) {
	last := w.last[b.key]
	for protocol := range numProtocols {
		if b.frame(protocol).Bytes != nil {
			last[protocol] = number
		}
	}
	w.last[b.key] = last
	if len(w.last) >= w.limit {
		w.sweep()
	}
}

// sweep removes the events from before all replays.
func (w *watched) sweep() {
	oldest := uint64(math.MaxUint64)
	for r := range w.replays {
		oldest = min(oldest, r.since)
	}
	maps.DeleteFunc(w.last, func(_ events.ID, last numbers) bool { return slices.Max(last[:]) <= oldest })
	w.limit = max(2*len(w.last), len(w.replays), minWatched)
}
