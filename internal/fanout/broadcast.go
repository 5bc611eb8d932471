package fanout

import (
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// broadcast is one event on its way to its subscribers. All shards share it, and it does not change.
type broadcast struct {
	entry  *Entry
	frames [numPlain]Frame // see frame
	// deflated has the compressed frames; nil: there are none. Most nodes have none, and an event is kept small.
	deflated *[numPlain]Frame
	cost     int64 // deliveries that it adds to the backlog for each shard
	limit    int64 // of the backlog when the event was dispatched
	// expires is the time from which the event is worthless; zero: never.
	expires time.Time
	// state reports whether a newer event of the same entry and key replaces this one.
	state bool
	key   events.ID
	id    events.ID // of the event

	arrived   time.Time // when the event came to this node
	published time.Time // the publisher's Timestamp; zero: there is none
}

// frame returns the frame for a protocol. It is empty for a protocol without a connection when the event was
// dispatched.
func (b *broadcast) frame(p Protocol) Frame {
	switch {
	case p < numPlain:
		return b.frames[p]
	case b.deflated != nil:
		return b.deflated[p-numPlain]
	default:
		return Frame{}
	}
}

// setFrame sets the frame for a protocol, before the event is shared.
func (b *broadcast) setFrame(p Protocol, f Frame) {
	if p < numPlain {
		b.frames[p] = f
		return
	}
	if b.deflated == nil {
		b.deflated = new([numPlain]Frame)
	}
	b.deflated[p-numPlain] = f
}

func (b *broadcast) expired(now time.Time) bool { return !b.expires.IsZero() && now.After(b.expires) }
