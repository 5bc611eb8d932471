package authz

import (
	"context"

	"github.com/rte-server/rte-server/internal/authz/directory"
	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/events"
)

// The types below are those of the packages that fill them in, for callers that only pass them on.
type (
	// Claims is the verified content of a token.
	Claims = token.Claims
	// Role is the role of a caller in its organizations.
	Role = token.Role
	// Grant is an explicit permission in a token.
	Grant = token.Grant
	// Change lists what changed in a directory or in the policy.
	Change = directory.Change
)

// The roles that a token can name.
const (
	RoleAgent      = token.RoleAgent
	RoleSupervisor = token.RoleSupervisor
	RoleService    = token.RoleService
)

// Directory describes entities: their organization, kind and members. It may be used from any goroutine.
type Directory interface {
	// Lookup describes the entities of ids, in order, in entities, which has the length of ids. It reads its source
	// once, however many ids there are. A foreign entity and one that does not exist take the same time.
	Lookup(ctx context.Context, caller directory.Caller, ids []events.ID, entities []directory.Entity)
	// Invalidate drops the cached entities that changed. A directory without a cache does nothing.
	Invalidate(change Change)
}

var (
	_ Directory = directory.FromClaims{}
	_ Directory = (*directory.File)(nil)
	_ Directory = (*directory.Cached)(nil)
)

// callerOf returns the part of the claims that a directory needs.
func callerOf(c *Claims) directory.Caller {
	return directory.Caller{User: c.User, Organization: c.Organization, Organizations: c.Organizations}
}

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
