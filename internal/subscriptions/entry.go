package subscriptions

import (
	"sync/atomic"

	"github.com/rte-server/rte-server/internal/events"
)

// MaxShards is the number of shards that an Entry can tell apart.
const MaxShards = 32

// Entry stands for one topic as long as somebody on this node listens to it. Its identity is the topic's: two
// subscribers of a topic hold the same pointer, so that a shard finds its subscribers without hashing the topic again.
type Entry struct {
	// Static after construction.
	topic events.Topic
	owner *Owner
	hash  uint64

	refs int // guarded by the mutex of the entry's stripe

	// interest holds, in its low 32 bits, the shards that have listeners, and above them a version that Listen
	// raises, so that Forget can tell a listener that came in between.
	interest atomic.Uint64
	// listeners counts the subscriptions of all shards: what an event costs.
	listeners atomic.Int32
}

// Topic is what the entry stands for.
func (e *Entry) Topic() events.Topic { return e.topic }

// Owner is the organization of the topic.
func (e *Entry) Owner() *Owner { return e.owner }

// Shards is the set of shards to which an event of the topic must go, as a bit mask, and about how many
// listeners wait for it there.
func (e *Entry) Shards() (mask uint32, listeners int) {
	return uint32(e.interest.Load()), int(e.listeners.Load()) //nolint:gosec // the low half is the mask
}

// Listen adds a shard to the set. When it returns, every event that is dispatched goes to that shard too.
func (e *Entry) Listen(shard int) {
	for {
		old := e.interest.Load()
		if e.interest.CompareAndSwap(old, (old|1<<shard)+1<<32) {
			return
		}
	}
}

// Interest is the value to give to Forget.
func (e *Entry) Interest() uint64 { return e.interest.Load() }

// Forget takes a shard out of the set, unless Listen was called after interest was read. A shard that stays in
// the set without need costs one look-up per event, an event that goes astray would be a bug.
func (e *Entry) Forget(shard int, interest uint64) {
	e.interest.CompareAndSwap(interest, interest&^(1<<shard))
}
