package authz

import (
	"context"

	"github.com/rte-server/rte-server/internal/authz/directory"
	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/events"
)

// These types belong to the packages that fill them in. Callers that only pass them on use the names of this package.
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

// Decision is the result of checking one Request: a topic or a refusal.
type Decision struct {
	// Topic is set if the request is allowed.
	Topic events.Topic
	// Refusal is one of the published texts below; empty if the request is allowed.
	Refusal string
}

// The refusals that clients receive, in the order of the checks. RefusedUnavailable replaces RefusedKind and
// RefusedUnauthorized while the directory is unavailable.
const (
	RefusedEntity       = "Invalid entity id"
	RefusedEvent        = "Unknown event"
	RefusedKind         = "Event is not available for this entity"
	RefusedUnauthorized = "Unauthorized"
	RefusedUnavailable  = "Temporarily unavailable"
)

// Code returns a stable word for the refusal, for programs; empty if the request is allowed. It discloses no more than
// the refusal.
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
	// Authorize decides about the requests, in order, with one lookup in the directory for all of them.
	Authorize(ctx context.Context, claims *Claims, requests []Request) []Decision
}
