package fanout

import (
	"time"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/subscriptions"
)

// broadcast is one event on its way to its listeners. All shards share it; it does not change.
type broadcast struct {
	entry  *subscriptions.Entry
	frames [numProtocols]Frame // empty for a protocol that nobody spoke when the event came
	cost   int64               // what it adds to a shard's backlog
	limit  int64               // of the backlog, for the event
	// expires is when nobody wants the event any more; zero: never.
	expires time.Time
	// state says that a newer event of the same entry and key makes this one worthless.
	state bool
	key   events.ID
}

func (b *broadcast) expired(now time.Time) bool { return !b.expires.IsZero() && now.After(b.expires) }
