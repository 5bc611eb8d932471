package authz

import (
	"context"
	"fmt"

	"github.com/rte-server/rte-server/internal/authz/directory"
	"github.com/rte-server/rte-server/internal/events"
)

// Explanation is a decision with the steps that led to it. It is for operators: it discloses what a client must not
// learn.
type Explanation struct {
	Allowed bool   `json:"allowed"`
	Message string `json:"message"` // the refusal that the client receives; empty if allowed
	Steps   []Step `json:"steps"`   // in order; only the last one can have failed
}

// Step is one step of a decision.
type Step struct {
	Name   string `json:"step"`
	Passed bool   `json:"passed"`
	Reason string `json:"reason"`
}

// The names of the steps, in order. The organization comes before the kind, so that no answer discloses the kind of a
// foreign entity.
const (
	stepEntity       = "entity id"
	stepEvent        = "event"
	stepDirectory    = "directory"
	stepOrganization = "organization"
	stepKind         = "kind"
	stepPolicy       = "policy"
)

// Explain decides about a request as Authorize does and lists the steps. It does not count the decision in the metrics.
func (g *Gate) Explain(ctx context.Context, claims *Claims, r Request) Explanation {
	t, why := g.parse(&r)
	var entities [1]directory.Entity
	var p permission
	if why == reasonAllowed {
		g.directory.Lookup(ctx, callerOf(claims), []events.ID{t.entity}, entities[:])
		why, p = g.decide(claims, t, &entities[0])
	}
	return Explanation{
		Allowed: why == reasonAllowed, Message: reasons[why].refusal, Steps: g.steps(claims, t, why, &entities[0], p),
	}
}

// ClaimsOf makes the claims of a plain token of the user: the organization that the directory names, and the role. Use
// it for Explain when the user has no session. ok is false if the directory does not know the user;
// directory.FromClaims never does.
func (g *Gate) ClaimsOf(ctx context.Context, user events.ID, role Role) (claims *Claims, ok bool) {
	claims = &Claims{User: user, Role: role}
	var entities [1]directory.Entity
	g.directory.Lookup(ctx, callerOf(claims), []events.ID{user}, entities[:])
	if entities[0].State != directory.StateKnown || entities[0].Kind != events.KindUser {
		return nil, false
	}
	claims.Organization = entities[0].Organization
	return claims, true
}

// steps lists the steps that led to a decision.
func (g *Gate) steps(claims *Claims, t target, why reason, e *directory.Entity, p permission) []Step {
	var steps []Step
	passed := func(name, reason string, values ...any) {
		steps = append(steps, Step{name, true, fmt.Sprintf(reason, values...)})
	}
	failed := func(name, reason string, values ...any) []Step {
		return append(steps, Step{name, false, fmt.Sprintf(reason, values...)})
	}
	if why == reasonEntityInvalid {
		return failed(stepEntity, "not a GUID of 36 characters")
	}
	passed(stepEntity, "a GUID")
	if why == reasonEventUnknown {
		return failed(stepEvent, "not in the catalog")
	}
	definition := g.catalog.Definition(t.event)
	passed(stepEvent, "%s, an event of a %s", definition.Name, definition.Kind)
	switch why {
	case reasonUnavailable:
		return failed(stepDirectory, "does not answer")
	case reasonEntityUnknown:
		return failed(stepDirectory, "does not know the entity")
	}
	kind := e.Kind.String()
	if e.Kind == events.KindUnknown {
		kind = "any kind"
	}
	passed(stepDirectory, "%s of organization %s", kind, e.Organization)
	if why == reasonEntityForeign {
		return failed(
			stepOrganization, "not one of the caller's, who is of %s and %d more", claims.Organization,
			len(claims.Organizations),
		)
	}
	passed(stepOrganization, "one of the caller's")
	if why == reasonWrongKind {
		return failed(stepKind, "a %s does not have the event", kind)
	}
	passed(stepKind, "has the event")
	if why == reasonPolicy {
		return failed(stepPolicy, "no rule allows it to the role %q%s", claims.Role, membership(e))
	}
	passed(stepPolicy, "rule %d allows it to the role %q: %s", p.rule, claims.Role, p.relation)
	return steps
}

func membership(e *directory.Entity) string {
	if e.Member {
		return ", a member"
	}
	return ", not a member"
}
