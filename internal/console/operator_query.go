package console

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/hub"
)

const (
	// defaultListed and maxListed are how many connections are listed if nothing is said, and at most.
	defaultListed = 100
	maxListed     = 10_000
)

// Explanation is the answer of /api/explain.
type Explanation struct {
	User         string      `json:"user"`
	Organization string      `json:"organization"`
	Role         authz.Role  `json:"role"`
	Source       claimSource `json:"source"` // where organization and role come from
	authz.Explanation
}

// claimSource says where the claims come from that something was explained for.
type claimSource string

const (
	fromConnection claimSource = "connection" // of the user, to this node: the claims of its token
	fromDirectory  claimSource = "directory"
	fromRequest    claimSource = "request"
)

// explain decides as Subscribe does and says why. The caller is the user as one of its connections to this node shows it.
// If there is none, or role or organization are given, it is the bearer of a plain token with that role (agent) in that
// organization (the one that the directory says).
//
// With a trace it answers instead what was refused to a client that was told that trace, and why at that time.
func (o *Operator) explain(ctx context.Context, query url.Values) (any, error) {
	if query.Has("trace") {
		return o.explainTrace(query)
	}
	if err := onlyKeys(query, "user", "entity", "event", "role", "organization"); err != nil {
		return nil, err
	}
	user, ok := events.ParseID(query.Get("user"))
	if !ok {
		return nil, BadRequest("user: must be a GUID")
	}
	claims, source, err := o.claimsOf(ctx, user, query)
	if err != nil {
		return nil, err
	}
	o.audit.Info("explained", zap.Stringer("user", user))
	return Explanation{
		User: user.String(), Organization: claims.Organization.String(), Role: claims.Role, Source: source,
		Explanation: o.gate.Explain(ctx, claims, authz.Request{EntityID: query.Get("entity"), EventName: query.Get("event")}),
	}, nil
}

// explainTrace looks up a refusal of this node.
func (o *Operator) explainTrace(query url.Values) (any, error) {
	if err := onlyKeys(query, "trace"); err != nil {
		return nil, err
	}
	refusal, ok := o.hub.Refusal(query.Get("trace"))
	if !ok {
		return nil, BadRequest("trace: is not known to this node, or no longer")
	}
	o.audit.Info("explained", zap.String("trace", refusal.Trace), zap.String("user", refusal.User))
	return refusal, nil
}

// claimsOf are the claims for an explanation.
func (o *Operator) claimsOf(ctx context.Context, user events.ID, query url.Values) (*authz.Claims, claimSource, error) {
	role, err := token.ParseRole(query.Get("role"))
	if err != nil {
		return nil, "", BadRequest("role: must be agent, supervisor or service")
	}
	if query.Has("organization") {
		organization, ok := events.ParseID(query.Get("organization"))
		if !ok {
			return nil, "", BadRequest("organization: must be a GUID")
		}
		return &authz.Claims{User: user, Organization: organization, Role: role}, fromRequest, nil
	}
	if !query.Has("role") {
		for s := range o.hub.Sessions().All() {
			if s.Claims().User == user {
				return s.Claims(), fromConnection, nil
			}
		}
	}
	if claims, ok := o.gate.ClaimsOf(ctx, user, role); ok {
		return claims, fromDirectory, nil
	}
	return nil, "", BadRequest("user: has no connection to this node and is not in a directory; say of which organization")
}

// Connection is one connection as /api/connections lists it.
type Connection struct {
	ID            string     `json:"id"`
	User          string     `json:"user"`
	Organization  string     `json:"organization"`
	Role          authz.Role `json:"role"`
	TokenID       string     `json:"jti,omitempty"`
	Protocol      string     `json:"protocol"`
	Features      []string   `json:"features,omitempty"` // that the client asked for
	Subscriptions int        `json:"subscriptions"`
	Since         time.Time  `json:"since"`
}

// ConnectionList is the answer of /api/connections.
type ConnectionList struct {
	Open        int          `json:"open"`     // connections of this node
	Matching    int          `json:"matching"` // of them, those that were asked for
	Connections []Connection `json:"connections"`
}

// connections lists connections, of a user or an organization if one is given: some of them, if there are more than limit.
func (o *Operator) connections(_ context.Context, query url.Values) (any, error) {
	if err := onlyKeys(query, "user", "organization", "limit"); err != nil {
		return nil, err
	}
	user, organization, limit := events.ID{}, events.ID{}, defaultListed
	for key, id := range map[string]*events.ID{"user": &user, "organization": &organization} {
		var ok bool
		if *id, ok = events.ParseID(query.Get(key)); query.Has(key) && !ok {
			return nil, BadRequest(key + ": must be a GUID")
		}
	}
	if query.Has("limit") {
		var err error
		if limit, err = strconv.Atoi(query.Get("limit")); err != nil || limit < 0 || limit > maxListed {
			return nil, BadRequest("limit: must be a number up to " + strconv.Itoa(maxListed))
		}
	}
	list := ConnectionList{Open: o.hub.Sessions().Len(), Connections: []Connection{}}
	for s := range o.hub.Sessions().All() {
		claims := s.Claims()
		if query.Has("user") && claims.User != user || query.Has("organization") && claims.Organization != organization {
			continue
		}
		if list.Matching++; list.Matching <= limit {
			list.Connections = append(list.Connections, describe(s))
		}
	}
	slices.SortFunc(list.Connections, func(a, b Connection) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

func describe(s *hub.Session) Connection {
	info := s.Info()
	return Connection{
		ID: info.ID, User: info.Claims.User.String(), Organization: info.Claims.Organization.String(), Role: info.Claims.Role,
		TokenID: info.Claims.TokenID, Protocol: info.Protocol.String(), Features: info.Features.Names(),
		Subscriptions: info.Subscriptions, Since: info.Since.UTC(),
	}
}

// onlyKeys refuses what is misspelt rather than pass it over.
func onlyKeys(query url.Values, known ...string) error {
	for key, values := range query {
		if !slices.Contains(known, key) {
			return BadRequest("unknown parameter " + strconv.Quote(key))
		}
		if len(values) > 1 {
			return BadRequest(key + ": is there twice")
		}
	}
	return nil
}
