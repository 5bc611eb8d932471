package token

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// Role is the role of a caller in all of its organizations.
type Role string

// The roles that a token can name.
const (
	RoleAgent      Role = "agent"
	RoleSupervisor Role = "supervisor"
	RoleService    Role = "service"
)

// NumRoles is the number of roles.
const NumRoles = 3

// Roles returns all roles.
func Roles() [NumRoles]Role { return [...]Role{RoleAgent, RoleSupervisor, RoleService} }

// ParseRole reads the name of a role. The empty text is RoleAgent.
func ParseRole(text string) (Role, error) {
	if text == "" {
		return RoleAgent, nil
	}
	roles := Roles()
	if role := Role(text); slices.Contains(roles[:], role) {
		return role, nil
	}
	return "", fmt.Errorf("unknown role, want one of %v", roles)
}

// Claims is the content of a verified token. All connections with the same token share it; it must not be changed.
type Claims struct {
	User          events.ID
	Organization  events.ID
	Organizations []events.ID // further organizations of the bearer, without Organization
	Role          Role        // not empty in a verified token; the same in every organization of the bearer
	Grants        []Grant
	TokenID       string    // jti; empty if the token has none
	IssuedAt      time.Time // iat; zero if the token has none
	ExpiresAt     time.Time // exp; zero: never
}

// BelongsTo reports whether the organization is one of the bearer's.
func (c *Claims) BelongsTo(organization events.ID) bool {
	return organization == c.Organization || slices.Contains(c.Organizations, organization)
}

// Equal reports whether two tokens have the same content.
func (c *Claims) Equal(other *Claims) bool {
	return c.User == other.User && c.Organization == other.Organization && slices.Equal(
		c.Organizations, other.Organizations,
	) &&
		c.Role == other.Role && slices.Equal(c.Grants, other.Grants) && c.TokenID == other.TokenID &&
		c.IssuedAt.Equal(other.IssuedAt) && c.ExpiresAt.Equal(other.ExpiresAt)
}

// OlderThan reports whether a token is older than another one: it ends earlier, or it ends at the same time and was
// issued earlier.
func (c *Claims) OlderThan(other *Claims) bool {
	switch {
	case c.ExpiresAt.Equal(other.ExpiresAt):
		return c.IssuedAt.Before(other.IssuedAt)
	case c.ExpiresAt.IsZero() || other.ExpiresAt.IsZero():
		return other.ExpiresAt.IsZero() // a token without an end ends last
	default:
		return c.ExpiresAt.Before(other.ExpiresAt)
	}
}

// Grant is an explicit permission in a token, limited to the organizations of the bearer.
type Grant struct {
	Entity events.ID // zero: any entity
	Event  string    // empty: any event
}

// Covers reports whether the grant permits this event of this entity.
func (g *Grant) Covers(entity events.ID, event string) bool {
	return (g.Entity == events.ID{} || g.Entity == entity) &&
		(g.Event == "" || strings.EqualFold(g.Event, event))
}

// ParseGrant reads a grant from a command line: ENTITY, ENTITY:EVENT or :EVENT.
func ParseGrant(text string) (Grant, error) {
	entity, event, _ := strings.Cut(text, ":")
	return newGrant(entity, event)
}

// newGrant makes a grant. It must name an entity or an event: a grant of everything would be another role. The entity
// must not be the GUID of zeros, which means any entity.
func newGrant(entity, event string) (Grant, error) {
	grant := Grant{Event: event}
	if entity != "" {
		id, ok := events.ParseID(entity)
		if !ok || id == (events.ID{}) {
			return Grant{}, fmt.Errorf("the entity of a grant is not a GUID")
		}
		grant.Entity = id
	}
	if entity == "" && event == "" {
		return Grant{}, fmt.Errorf("a grant names neither an entity nor an event")
	}
	return grant, nil
}
