package subscriptions

import (
	"sync/atomic"

	"github.com/rte-server/rte-server/internal/events"
)

// MaxShards is the number of shards that an Entry can tell apart.
const MaxShards = 32

// Entry represents a topic while this node has users of it. A topic has one entry at a time: subscriptions to the same
// topic hold the same pointer, so a shard finds its subscribers without hashing the topic again. O is what the user of
// the registry keeps for each organization.
type Entry[O any] struct {
	// Static after construction.
	topic        events.Topic
	organization *organization[O]
	hash         uint64

	refs int // guarded by the mutex of the entry's stripe

	// shards holds the set of shards with subscribers in its low 32 bits, and above them a version that AddShard
	// increments, so that RemoveShard notices an AddShard in between.
	shards atomic.Uint64
	// subscribers counts the subscriptions in all shards: the cost of an event.
	subscribers atomic.Int32
}

// Topic returns the topic of the entry.
func (e *Entry[O]) Topic() events.Topic { return e.topic }

// Organization returns the user's value for the organization of the topic.
func (e *Entry[O]) Organization() *O { return &e.organization.value }

// Shards returns the set of shards that need an event of the topic, as a bit mask, and the approximate number of
// subscribers they have.
func (e *Entry[O]) Shards() (mask uint32, subscribers int) {
	return uint32(e.shards.Load()), int(e.subscribers.Load()) //nolint:gosec // the low half is the mask
}

// AddShard adds a shard to the set. Every event that is dispatched after AddShard has returned goes to that shard too.
func (e *Entry[O]) AddShard(shard int) {
	for {
		old := e.shards.Load()
		if e.shards.CompareAndSwap(old, (old|1<<shard)+1<<32) {
			return
		}
	}
}

// Version returns the value that RemoveShard compares.
func (e *Entry[O]) Version() uint64 { return e.shards.Load() }

// RemoveShard removes a shard from the set, unless AddShard was called after version was read. A shard that stays in
// the set needlessly costs one look-up per event; a shard that is missing from it would lose events.
func (e *Entry[O]) RemoveShard(shard int, version uint64) {
	e.shards.CompareAndSwap(version, version&^(1<<shard))
}
