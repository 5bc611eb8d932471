package authz

import (
	"context"
	"fmt"

	"github.com/rte-server/rte-server/internal/authz/directory"
	"github.com/rte-server/rte-server/internal/events"
)

// Explanation is how a request was decided, for operators: it says what a client must not learn.
type Explanation struct {
	Allowed bool   `json:"allowed"`
	Message string `json:"message"` // what the client is told; empty if allowed
	Steps   []Step `json:"steps"`   // in the order in which they were taken; only the last one can have failed
}

// Step is one step of a decision.
type Step struct {
	Name   string `json:"step"`
	Passed bool   `json:"passed"`
	Reason string `json:"reason"`
}

// The steps in the order in which they are taken. The organization comes before the kind, so that nothing is said to
// anybody about the kind of a foreign entity.
const (
	stepEntity       = "entity id"
	stepEvent        = "event"
	stepDirectory    = "directory"
	stepOrganization = "organization"
	stepKind         = "kind"
	stepPolicy       = "policy"
)

// Explain decides about a request as Authorize does and says why. The decision is not counted.
func (g *Gate) Explain(ctx context.Context, claims *Claims, r Request) Explanation {
	q, v := g.read(&r)
	var entities [1]directory.Entity
	var why ground
	if v == verdictAllowed {
		g.directory.Lookup(ctx, callerOf(claims), []events.ID{q.entity}, entities[:])
		v, why = g.judge(claims, q, &entities[0])
	}
	return Explanation{
		Allowed: v == verdictAllowed, Message: verdicts[v].refusal, Steps: g.steps(claims, q, v, &entities[0], why),
	}
}

// ClaimsOf makes the claims that a plain token of the user would carry: the user's organization, as the directory has
// it, and the role. It is for Explain where no session of the user is at hand. ok is false if the directory does not
// know the user, as directory.FromClaims never does.
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

// steps tells a verdict as the steps that led to it.
func (g *Gate) steps(claims *Claims, q question, v verdict, e *directory.Entity, why ground) []Step {
	var steps []Step
	passed := func(name, reason string, values ...any) {
		steps = append(steps, Step{name, true, fmt.Sprintf(reason, values...)})
	}
	failed := func(name, reason string, values ...any) []Step {
		return append(steps, Step{name, false, fmt.Sprintf(reason, values...)})
	}
	if v == verdictEntityInvalid {
		return failed(stepEntity, "not a GUID of 36 characters")
	}
	passed(stepEntity, "a GUID")
	if v == verdictEventUnknown {
		return failed(stepEvent, "not in the catalogue")
	}
	definition := g.catalog.Definition(q.event)
	passed(stepEvent, "%s, an event of a %s", definition.Name, definition.Kind)
	switch v {
	case verdictUnavailable:
		return failed(stepDirectory, "does not answer")
	case verdictEntityUnknown:
		return failed(stepDirectory, "does not know the entity")
	}
	kind := e.Kind.String()
	if e.Kind == events.KindUnknown {
		kind = "whatever the event is about"
	}
	passed(stepDirectory, "%s of organization %s", kind, e.Organization)
	if v == verdictEntityForeign {
		return failed(stepOrganization, "not one of the caller's, who is of %s and %d more", claims.Organization, len(claims.Organizations))
	}
	passed(stepOrganization, "one of the caller's")
	if v == verdictWrongKind {
		return failed(stepKind, "a %s does not have the event", kind)
	}
	passed(stepKind, "has the event")
	if v == verdictPolicy {
		return failed(stepPolicy, "no rule allows it to the role %q%s", claims.Role, membership(e))
	}
	passed(stepPolicy, "rule %d allows it to the role %q: %s", why.rule, claims.Role, why.relation)
	return steps
}

func membership(e *directory.Entity) string {
	if e.Member {
		return ", a member"
	}
	return ", not a member"
}
