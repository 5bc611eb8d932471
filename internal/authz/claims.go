package authz

import (
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// Role is what a caller is in its organization.
type Role string

// The roles a token can name.
const (
	RoleAgent      Role = "agent"
	RoleSupervisor Role = "supervisor"
	RoleService    Role = "service"
)

// Claims is what a verified token says about its bearer. It must not be changed.
type Claims struct {
	User          events.ID
	Organization  events.ID
	Organizations []events.ID // further organizations of the bearer, without Organization
	Role          Role        // never empty once verified
	Grants        []Grant
	TokenID       string // jti; empty if the token has none
	IssuedAt      time.Time
	ExpiresAt     time.Time // zero: never
}

// Grant is an explicit permission in a token.
type Grant struct {
	Entity events.ID // zero: any entity
	Event  string    // empty: any event
}
