package token

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// Role is what a caller is in its organizations.
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

// ParseRole reads the name of a role. The empty text is the role of a token that names none: agent.
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

// Claims is what a verified token says about its bearer. It is shared by everybody who shows the same token and must
// not be changed.
type Claims struct {
	User          events.ID
	Organization  events.ID
	Organizations []events.ID // further organizations of the bearer, without Organization
	Role          Role        // never empty once verified; the same in every organization of the bearer
	Grants        []Grant
	TokenID       string    // jti; empty if the token has none
	IssuedAt      time.Time // iat; zero if the token does not say
	ExpiresAt     time.Time // exp; zero: never
}

// BelongsTo says whether the organization is one of the bearer's.
func (c *Claims) BelongsTo(organization events.ID) bool {
	return organization == c.Organization || slices.Contains(c.Organizations, organization)
}

// Equal says whether two tokens say the same, as a token does that is shown twice.
func (c *Claims) Equal(other *Claims) bool {
	return c.User == other.User && c.Organization == other.Organization && slices.Equal(c.Organizations, other.Organizations) &&
		c.Role == other.Role && slices.Equal(c.Grants, other.Grants) && c.TokenID == other.TokenID &&
		c.IssuedAt.Equal(other.IssuedAt) && c.ExpiresAt.Equal(other.ExpiresAt)
}

// Grant is an explicit permission in a token. It counts within the organizations of the bearer only.
type Grant struct {
	Entity events.ID // zero: any entity
	Event  string    // empty: any event
}

// Covers reports whether the grant is about this event of this entity.
func (g *Grant) Covers(entity events.ID, event string) bool {
	return (g.Entity == events.ID{} || g.Entity == entity) &&
		(g.Event == "" || strings.EqualFold(g.Event, event))
}

// ParseGrant reads a grant as command lines carry it: ENTITY, ENTITY:EVENT or :EVENT.
func ParseGrant(text string) (Grant, error) {
	entity, event, _ := strings.Cut(text, ":")
	return newGrant(entity, event)
}

// newGrant makes a grant of its parts. It must name an entity or an event, or it would be a way to spell another role;
// and the entity cannot be the GUID of zeros, which stands for any.
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
