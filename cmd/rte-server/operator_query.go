package main

import (
	"cmp"
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/console"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/hub"
)

const (
	// defaultListed and maxListed are how many connections are listed if nothing is said, and at most.
	defaultListed = 100
	maxListed     = 10_000
)

// explanation is the answer of /api/explain.
type explanation struct {
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
func (o *operator) explain(ctx context.Context, query url.Values) (any, error) {
	if query.Has("trace") {
		return o.explainTrace(query)
	}
	if err := onlyKeys(query, "user", "entity", "event", "role", "organization"); err != nil {
		return nil, err
	}
	user, ok := events.ParseID(query.Get("user"))
	if !ok {
		return nil, console.BadRequest("user: must be a GUID")
	}
	claims, source, err := o.claimsOf(ctx, user, query)
	if err != nil {
		return nil, err
	}
	o.audit.Info("explained", zap.Stringer("user", user))
	return explanation{
		User: user.String(), Organization: claims.Organization.String(), Role: claims.Role, Source: source,
		Explanation: o.gate.Explain(ctx, claims, authz.Request{EntityID: query.Get("entity"), EventName: query.Get("event")}),
	}, nil
}

// explainTrace looks up a refusal of this node.
func (o *operator) explainTrace(query url.Values) (any, error) {
	if err := onlyKeys(query, "trace"); err != nil {
		return nil, err
	}
	refusal, ok := o.hub.Refusal(query.Get("trace"))
	if !ok {
		return nil, console.BadRequest("trace: is not known to this node, or no longer")
	}
	o.audit.Info("explained", zap.String("trace", refusal.Trace), zap.String("user", refusal.User))
	return refusal, nil
}

// claimsOf are the claims for an explanation.
func (o *operator) claimsOf(ctx context.Context, user events.ID, query url.Values) (*authz.Claims, claimSource, error) {
	role, err := authz.ParseRole(query.Get("role"))
	if err != nil {
		return nil, "", console.BadRequest("role: must be agent, supervisor or service")
	}
	if query.Has("organization") {
		organization, ok := events.ParseID(query.Get("organization"))
		if !ok {
			return nil, "", console.BadRequest("organization: must be a GUID")
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
	return nil, "", console.BadRequest("user: has no connection to this node and is not in a directory; say of which organization")
}

// connection is one connection as /api/connections lists it.
type connection struct {
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

// connectionList is the answer of /api/connections.
type connectionList struct {
	Open        int          `json:"open"`     // connections of this node
	Matching    int          `json:"matching"` // of them, those that were asked for
	Connections []connection `json:"connections"`
}

// connections lists connections, of a user or an organization if one is given: some of them, if there are more than limit.
func (o *operator) connections(_ context.Context, query url.Values) (any, error) {
	if err := onlyKeys(query, "user", "organization", "limit"); err != nil {
		return nil, err
	}
	user, organization, limit := events.ID{}, events.ID{}, defaultListed
	for key, id := range map[string]*events.ID{"user": &user, "organization": &organization} {
		var ok bool
		if *id, ok = events.ParseID(query.Get(key)); query.Has(key) && !ok {
			return nil, console.BadRequest(key + ": must be a GUID")
		}
	}
	if query.Has("limit") {
		var err error
		if limit, err = strconv.Atoi(query.Get("limit")); err != nil || limit < 0 || limit > maxListed {
			return nil, console.BadRequest("limit: must be a number up to " + strconv.Itoa(maxListed))
		}
	}
	list := connectionList{Open: o.hub.Sessions().Len(), Connections: []connection{}}
	for s := range o.hub.Sessions().All() {
		claims := s.Claims()
		if query.Has("user") && claims.User != user || query.Has("organization") && claims.Organization != organization {
			continue
		}
		if list.Matching++; list.Matching <= limit {
			list.Connections = append(list.Connections, describe(s))
		}
	}
	slices.SortFunc(list.Connections, func(a, b connection) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

func describe(s *hub.Session) connection {
	info := s.Info()
	return connection{
		ID: info.ID, User: info.Claims.User.String(), Organization: info.Claims.Organization.String(), Role: info.Claims.Role,
		TokenID: info.Claims.TokenID, Protocol: info.Protocol.String(), Features: info.Features.Names(),
		Subscriptions: info.Subscriptions, Since: info.Since.UTC(),
	}
}

// disconnected is the answer to a disconnection.
type disconnected struct {
	Closed int    `json:"closed"` // connections of this node
	Nodes  reach  `json:"nodes"`  // that were told
	Detail string `json:"detail,omitempty"`
}

// disconnect ends one connection, or those of a user, of this node or of all. The clients may come back at once.
func (o *operator) disconnect(ctx context.Context, query url.Values) (any, error) {
	if err := onlyKeys(query, "connection", "user", "nodes"); err != nil {
		return nil, err
	}
	d := disconnection{Connection: query.Get("connection"), User: query.Get("user")}
	user, err := d.user()
	if err != nil {
		return nil, console.BadRequest(err.Error())
	}
	if query.Has("nodes") && query.Get("nodes") != string(allNodes) && query.Get("nodes") != string(thisNode) {
		return nil, console.BadRequest("nodes: must be all or this")
	}
	answer := disconnected{Closed: o.close(d.Connection, user), Nodes: thisNode}
	if query.Get("nodes") != string(allNodes) {
		return answer, nil
	}
	if answer.Detail = o.tellDisconnection(ctx, d); answer.Detail != "" {
		return console.Accepted{Answer: answer}, nil
	}
	answer.Nodes = allNodes
	return answer, nil
}

// tellDisconnection tells the other nodes. If that is not possible it says why.
func (o *operator) tellDisconnection(ctx context.Context, d disconnection) (problem string) {
	if o.control == nil {
		return ""
	}
	message, err := json.Marshal(d)
	if err == nil {
		err = o.control.backplane.Send(ctx, backplane.DisconnectChannel, message)
	}
	if err != nil {
		return "disconnected from this node only: " + err.Error()
	}
	return ""
}

// disconnectTold ends connections of this node because another was asked to, or a back end wants it.
func (o *operator) disconnectTold(message []byte) error {
	d, user, err := parseDisconnection(message)
	if err == nil {
		o.close(d.Connection, user)
	}
	return err
}

// close ends the connection with an id, or those of a user if it is empty.
func (o *operator) close(id string, user events.ID) (closed int) {
	about := zap.String("connection", id)
	if id == "" {
		about = zap.Stringer("user", user)
	}
	closed = o.hub.CloseIf(hub.CloseByOperator, func(s *hub.Session) bool {
		return id == "" && s.Claims().User == user || id != "" && s.ID() == id
	})
	o.audit.Info("disconnected", about, zap.Int("closed", closed))
	return closed
}

// onlyKeys refuses what is misspelt rather than pass it over.
func onlyKeys(query url.Values, known ...string) error {
	for key, values := range query {
		if !slices.Contains(known, key) {
			return console.BadRequest("unknown parameter " + strconv.Quote(key))
		}
		if len(values) > 1 {
			return console.BadRequest(key + ": is there twice")
		}
	}
	return nil
}
