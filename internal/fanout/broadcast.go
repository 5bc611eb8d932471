package fanout

import (
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// broadcast is one event on its way to its subscribers. All shards share it, and it does not change.
type broadcast struct {
	entry  *Entry
	frames [numProtocols]Frame // empty for a protocol without a connection when the event was dispatched
	cost   int64               // deliveries that it adds to the backlog for each shard
	limit  int64               // of the backlog when the event was dispatched
	// expires is the time from which the event is worthless; zero: never.
	expires time.Time
	// state reports whether a newer event of the same entry and key replaces this one.
	state bool
	key   events.ID
	id    events.ID // of the event

	arrived   time.Time // when the event came to this node
	published time.Time // the publisher's Timestamp; zero: there is none
}

func (b *broadcast) expired(now time.Time) bool { return !b.expires.IsZero() && now.After(b.expires) }
