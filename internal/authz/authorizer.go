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

// Code is the refusal in a stable word for programs; empty when the request is allowed. It tells no more than the text.
func (d *Decision) Code() string {
	switch d.Refusal {
	case "":
		return ""
	case RefusedEntity:
		return "invalid_entity"
	case RefusedEvent:
		return "unknown_event"
	case RefusedKind:
		return "wrong_kind"
	case RefusedUnavailable:
		return "unavailable"
	default:
		return "unauthorized"
	}
}

// Authorizer decides about subscriptions. It may be used from any goroutine.
type Authorizer interface {
	// Authorize decides about each request, in order, with one look into the directory for all of them.
	Authorize(ctx context.Context, claims *Claims, requests []Request) []Decision
}
