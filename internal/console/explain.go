package console

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/events"
)

// Explanation is the answer of /api/explain.
type Explanation struct {
	User         string      `json:"user"`
	Organization string      `json:"organization"`
	Role         authz.Role  `json:"role"`
	Source       claimSource `json:"source"` // where organization and role come from
	authz.Explanation
}

// claimSource names where the claims of an explanation come from.
type claimSource string

const (
	fromConnection claimSource = "connection" // the token of a connection of the user to this node
	fromDirectory  claimSource = "directory"
	fromRequest    claimSource = "request"
)

// explain decides as Subscribe does and returns the reasons. It takes the claims from a connection of the user to this
// node. Without a connection, or if the query has role or organization, it takes a plain token: with that role, else
// agent, in that organization, else the one of the directory.
//
// With a trace it returns the refusal that a client got with that trace, and the reasons at that time.
func (o *Operator) explain(ctx context.Context, query url.Values) (any, error) {
	all, err := ofAllNodes(query)
	if err != nil {
		return nil, err
	}
	query.Del("nodes")
	if all {
		return o.explainAnywhere(ctx, query)
	}
	return o.explainHere(ctx, query)
}

// explainAnywhere explains by the node that has a connection of the user, or the refusal; else by this node.
func (o *Operator) explainAnywhere(ctx context.Context, query url.Values) (any, error) {
	own, ownErr := o.explainHere(ctx, query)
	if e, ok := own.(Explanation); ownErr == nil && (!ok || e.Source == fromConnection || e.Source == fromRequest) {
		return own, nil
	}
	if _, wrong := errors.AsType[BadRequest](ownErr); ownErr != nil && !wrong {
		return nil, ownErr
	}
	text, err := json.Marshal(nodeQuery{Operation: "explain", Query: query.Encode()})
	if err != nil {
		return nil, err
	}
	for _, answer := range o.others.Query(ctx, text).Answers {
		var r reply
		var e struct {
			Source claimSource `json:"source"`
			Trace  string      `json:"trace"`
		}
		if json.Unmarshal(answer, &r) == nil && json.Unmarshal(r.Answer, &e) == nil &&
			(e.Source == fromConnection || e.Trace != "") {
			return r.Answer, nil
		}
	}
	return own, ownErr
}

// explainHere explains by this node.
func (o *Operator) explainHere(ctx context.Context, query url.Values) (any, error) {
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

// explainTrace returns a recent refusal of this node.
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

// claimsOf returns the claims for an explanation, and where they come from.
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
	return nil, "", BadRequest("user: has no connection to this node and is not in a directory; say of which " +
		"organization")
}
