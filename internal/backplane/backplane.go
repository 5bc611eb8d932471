package backplane

import (
	"context"
	"errors"

	"github.com/rte-server/rte-server/internal/events"
)

// ErrUnavailable is wrapped by the errors of Acquire and Publish when the backplane cannot be reached, or does not
// answer in time. Trying again later may work.
var ErrUnavailable = errors.New("backplane unavailable")

// ErrRefused is wrapped by the errors of Acquire and Publish when Redis refuses this lane or this event to this
// node, for instance by an access control list. Trying again does not help.
var ErrRefused = errors.New("backplane refused")

// Sink receives the events of a backplane: those of one lane one at a time, in the order published.
type Sink interface {
	// Dispatch takes an event and waits for no client. It may wait for the node itself to catch up.
	// It must not keep ev when it returns, but it may keep ev.Data, which is never written to again.
	Dispatch(ev *events.Event)
}

// Interest is what a Sink can say as well: whether it has a use for the events of a topic. Those of which it says no are
// not dispatched, and not read further than to their topic. It may be called from any goroutine, and counts what it
// refuses.
type Interest interface {
	Hears(topic events.Topic) bool
}

// Offers is what a Sink can do as well: take an event only if that does not wait for the node to catch up with the events
// of its organization, so that others need not wait too.
type Offers interface {
	Offer(ev *events.Event) (taken bool)
}

// Backplane is what a node listens to and publishes through. Redis and Memory implement it; one conformance suite
// covers both.
type Backplane interface {
	Batches

	// Run receives until ctx ends. It does not fail when Redis is away: it goes on trying, and Health tells.
	Run(ctx context.Context) error
	// Acquire makes sure that the events of the topics reach this node: when it returns, every event published
	// from now on does. It answers nil, or one error per topic (nil where it worked). Each topic that worked is
	// counted and must be given back by Release.
	Acquire(ctx context.Context, topics []events.Topic) []error
	// Release gives back topics that Acquire counted. The lane lingers a while before it is unsubscribed.
	Release(topics []events.Topic)
	// Publish sends one event, as published JSON, to all nodes. The error wraps events.ErrMalformed if the event
	// is not one, and ErrUnavailable or ErrRefused if the event did not get through or may not have.
	Publish(ctx context.Context, data []byte) error
	// Health says whether events can arrive.
	Health() Health
}

// Health is the state of a backplane.
type Health struct {
	// Connected says that events arrive.
	Connected bool
	// Detail says in a few words what is wrong; empty when connected.
	Detail string
}
