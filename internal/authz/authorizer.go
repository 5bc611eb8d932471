package authz

import (
	"context"

	"github.com/rte-server/rte-server/internal/events"
)

// Request is one item of Subscribe as the client sent it.
type Request struct {
	EntityID  string
	EventName string
}

// Decision is the answer to one Request: a topic, or a refusal.
type Decision struct {
	// Topic is set when the request is allowed.
	Topic events.Topic
	// Refusal is empty when the request is allowed, else one of the published texts below.
	Refusal string
}

// The texts of refusals that clients see, in the order in which they are decided. RefusedUnavailable takes the place of
// the two before it while the directory is away.
const (
	RefusedEntity       = "Invalid entity id"
	RefusedEvent        = "Unknown event"
	RefusedKind         = "Event is not available for this entity"
	RefusedUnauthorized = "Unauthorized"
	RefusedUnavailable  = "Temporarily unavailable"
)

// Authorizer decides about subscriptions. It may be used from any goroutine.
type Authorizer interface {
	// Authorize decides about each request, in order, with one look into the directory for all of them.
	Authorize(ctx context.Context, claims *Claims, requests []Request) []Decision
}
