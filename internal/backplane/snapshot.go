package backplane

import (
	"context"

	"github.com/rte-server/rte-server/internal/events"
)

// Snapshots finds the last state events: events that replace the one before, see events.Definition.State.
type Snapshots interface {
	// Snapshot finds the last published states of topics whose MessageTTLSeconds have not passed. It calls apply, once
	// or several times in turn, with topics and their events: none, one, or several where a topic has several states
	// (CallbackChanged: one for each callback). apply must not block, and must not keep the events or their Data. It
	// is not called after Snapshot has returned.
	//
	// Each call of apply happens between two events of a lane: the snapshot contains every event dispatched before,
	// and every event that it does not contain is dispatched later.
	//
	// The topics must be acquired. If Snapshot returns nil, apply was called for each topic. Otherwise the error wraps
	// ErrUnavailable or is that of ctx, and apply was called for the topics whose states the node retains.
	Snapshot(
		ctx context.Context, topics []events.Topic, apply func(topics []events.Topic, last []*events.Event),
	) error
}
