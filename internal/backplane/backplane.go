package backplane

import (
	"context"
	"errors"

	"github.com/rte-server/rte-server/internal/events"
)

// ErrUnavailable is in the errors of Publish when the backplane cannot be reached or does not answer in time, and in
// those of Acquire when it is given up. A later attempt may succeed.
var ErrUnavailable = errors.New("backplane unavailable")

// ErrRefused is in the errors of Acquire and Publish when Redis refuses the lane or the event to this node, for
// instance by an access control list. Another attempt would fail, too.
var ErrRefused = errors.New("backplane refused")

// ErrWrongType is in the errors of Publish, beside ErrRefused, when the journal or the counter of the lane is a key of
// another type. All events of this lane fail until an operator deletes the key.
var ErrWrongType = errors.New("a key of the lane has the wrong type")

// Sink receives the events of a backplane. The events of one lane arrive one at a time, in the order published. Its
// methods may be called from any goroutine.
type Sink interface {
	// Wants reports whether the sink has a use for the events of a topic, and counts the refusals. A backplane does not
	// dispatch unwanted events, and reads them only as far as their topic.
	Wants(topic events.Topic) bool
	// Dispatch takes an event. It waits for no client, but it may wait for the node itself to catch up. It must not
	// keep ev after it returns. It may keep ev.Data, which is never written to again.
	Dispatch(ev *events.Event)
	// Offer is Dispatch for an event that the sink can take without waiting. If the sink would have to wait for its
	// backlog of this organization, Offer does nothing and returns false.
	Offer(ev *events.Event) (taken bool)
}

// Backplane brings published events to this node, and publishes. Redis and Memory implement it; one conformance suite
// covers both. Its methods may be called from any goroutine.
type Backplane interface {
	Publisher
	Receipts
	Snapshots
	Documents
	Control

	// Run receives until ctx ends. It does not fail while Redis is away: it keeps trying, and Health reports the state.
	Run(ctx context.Context) error
	// Acquire makes sure that the events of the topics reach this node: every event published after Acquire returns
	// does, or lies within a Loss that is reported later. So Acquire succeeds at once while the backplane is away, and
	// when ctx reaches its deadline. It returns nil, or one error per topic (nil for those that worked). Release must
	// follow for each topic that worked.
	Acquire(ctx context.Context, topics []events.Topic) []error
	// Release gives back topics that Acquire counted. The lane lingers a while before it is unsubscribed.
	Release(topics []events.Topic)
	// Health reports whether events can arrive.
	Health() Health
}

// Health is the state of a backplane.
type Health struct {
	// Connected reports whether events arrive.
	Connected bool
	// Detail names a problem in a few words; empty if there is none. A connected backplane has a problem if it cannot
	// publish all events, as Redis refuses writes.
	Detail string
}
