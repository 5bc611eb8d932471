package authz

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz/directory"
	"github.com/rte-server/rte-server/internal/authz/watch"
	"github.com/rte-server/rte-server/internal/events"
)

const (
	keptBatch     = 4096    // requests; the memory of a larger batch is not reused
	maxPolicyFile = 1 << 20 // bytes
)

// AuthorizerOptions configure a Gate.
type AuthorizerOptions struct {
	Catalog   *events.Catalog // required
	Directory Directory       // required
	// Policy is in force when there is no PolicyFile. It must be made for Catalog. Default: DefaultPolicy.
	Policy *Policy
	// PolicyFile is a file in the form of DefaultPolicy. Run reads it again when it changes.
	PolicyFile string
	// Changed is called by Run when a new version of the policy is in force, and repeatedly with the entities that
	// Recheck could not decide about because the directory was unavailable. Default: no call.
	Changed func(Change)

	Logger     *zap.Logger           // default: none
	Registerer prometheus.Registerer // default: none
}

// Gate is the Authorizer that checks a request in the published order: the entity id is a GUID, the event is known, the
// entity has the event, the caller may subscribe to it. It may be used from any goroutine.
type Gate struct {
	catalog    *events.Catalog
	directory  Directory
	policy     atomic.Pointer[Policy]
	policyFile *watch.File // nil: the policy never changes
	changed    func(Change)
	undecided  *undecided
	metrics    *gateMetrics
	batches    sync.Pool // of *batch
}

var _ Authorizer = (*Gate)(nil)

// NewAuthorizer makes a Gate and reads the policy.
func NewAuthorizer(o AuthorizerOptions) (*Gate, error) {
	if o.Catalog == nil {
		return nil, errors.New("authz: AuthorizerOptions.Catalog is required")
	}
	if o.Directory == nil {
		return nil, errors.New("authz: AuthorizerOptions.Directory is required")
	}
	g := &Gate{
		catalog: o.Catalog, directory: o.Directory,
		metrics: newGateMetrics(o.Registerer), undecided: newUndecided(o.Registerer),
		batches: sync.Pool{New: func() any { return &batch{} }},
	}
	var err error
	switch {
	case o.PolicyFile != "":
		g.policyFile, err = watch.New(watch.Options{
			Path: o.PolicyFile, Limit: maxPolicyFile, Load: g.loadPolicy, Name: "policy",
			Logger: o.Logger, Registerer: o.Registerer,
		})
	case o.Policy != nil:
		g.policy.Store(o.Policy)
	default:
		err = g.loadPolicy(DefaultPolicy)
	}
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	g.changed = o.Changed // not before: the first version of the policy is no change
	return g, nil
}

// Run watches the policy file and retries what Recheck could not decide, until ctx ends. It returns nil.
func (g *Gate) Run(ctx context.Context) error {
	var running sync.WaitGroup
	if g.policyFile != nil {
		running.Go(func() { _ = g.policyFile.Run(ctx) }) // returns nil
	}
	if g.changed != nil {
		running.Go(func() { g.undecided.run(ctx, g.changed) })
	}
	<-ctx.Done()
	running.Wait()
	return nil
}

// loadPolicy puts a policy into force.
func (g *Gate) loadPolicy(data []byte) error {
	policy, err := ParsePolicy(data, g.catalog)
	if err != nil {
		return err
	}
	g.policy.Store(policy)
	if g.changed != nil {
		g.changed(Change{All: true})
	}
	return nil
}

// Authorize implements Authorizer.
func (g *Gate) Authorize(ctx context.Context, claims *Claims, requests []Request) []Decision {
	decisions := make([]Decision, len(requests))
	g.AuthorizeInto(ctx, claims, requests, decisions)
	return decisions
}

// AuthorizeInto writes what Authorize returns into decisions, which has the length of requests. It allocates nothing.
func (g *Gate) AuthorizeInto(ctx context.Context, claims *Claims, requests []Request, decisions []Decision) {
	b := g.batches.Get().(*batch) // the pool holds nothing else
	b.reset()
	for i := range requests {
		t, why := g.parse(&requests[i])
		if why != reasonAllowed {
			decisions[i] = g.decision(why, events.Topic{})
			continue
		}
		b.add(i, t)
	}
	if len(b.ids) > 0 {
		g.directory.Lookup(ctx, callerOf(claims), b.ids, b.entities)
	}
	for i, t := range b.targets {
		e := &b.entities[i]
		why, _ := g.decide(claims, t, e)
		decisions[b.positions[i]] = g.decision(
			why, events.Topic{Organization: e.Organization, Entity: t.entity, Type: t.event},
		)
	}
	if cap(b.ids) <= keptBatch {
		g.batches.Put(b)
	}
}

// target is a well-formed request: an entity and an event of the catalog.
type target struct {
	entity events.ID
	event  events.Type
}

// parse checks what needs no directory. It returns reasonAllowed if the request is well-formed.
func (g *Gate) parse(r *Request) (target, reason) {
	entity, ok := events.ParseID(r.EntityID)
	if !ok {
		return target{}, reasonEntityInvalid
	}
	event, ok := g.catalog.Lookup(r.EventName)
	if !ok {
		return target{}, reasonEventUnknown
	}
	return target{entity, event}, reasonAllowed
}

// decide checks a well-formed request against the directory's description of its entity and the policy. The permission
// is set if the reason is reasonAllowed.
func (g *Gate) decide(claims *Claims, t target, e *directory.Entity) (reason, permission) {
	definition := g.catalog.Definition(t.event)
	switch {
	case e.State == directory.StateUnavailable:
		return reasonUnavailable, permission{}
	case e.State == directory.StateUnknown:
		return reasonEntityUnknown, permission{}
	case !claims.BelongsTo(e.Organization):
		// Checked before the kind: a refusal must not disclose the kind of a foreign entity.
		return reasonEntityForeign, permission{}
	case e.Kind != events.KindUnknown && e.Kind != definition.Kind:
		return reasonWrongKind, permission{}
	}
	p := g.permission(claims, t, definition, e)
	if p.rule == 0 {
		return reasonPolicy, permission{}
	}
	return reasonAllowed, p
}

// permission is the rule that allows a request.
type permission struct {
	relation relation
	rule     int // of the policy, counted from 1; 0: no rule allows the request
}

// permission finds the first rule of the policy that allows the request.
func (g *Gate) permission(claims *Claims, t target, definition *events.Definition, e *directory.Entity) permission {
	holds := [numRelations]bool{
		relationOwn:          definition.Kind == events.KindUser && t.entity == claims.User,
		relationMember:       definition.Kind != events.KindUser && e.Member,
		relationOrganization: true,
	}
	rules := g.policy.Load().of(claims.Role)
	if rules == nil {
		return permission{}
	}
	for r := range relationGranted { // the relations before it
		if rule := rules[r][t.event]; rule != 0 && holds[r] {
			return permission{r, int(rule)}
		}
	}
	for i := range claims.Grants {
		if claims.Grants[i].Covers(t.entity, definition.Name) {
			return permission{relationGranted, int(rules[relationGranted][t.event])}
		}
	}
	return permission{}
}

// decision makes the decision for a reason and counts it. The topic is used if the reason is reasonAllowed.
func (g *Gate) decision(why reason, topic events.Topic) Decision {
	g.metrics.decisions[why].Inc()
	if why != reasonAllowed {
		return Decision{Refusal: reasons[why].refusal}
	}
	return Decision{Topic: topic}
}

// batch is the working memory of one call of AuthorizeInto: the well-formed requests, and what the directory returns
// for them.
type batch struct {
	positions []int // of the targets among the requests
	targets   []target
	ids       []events.ID
	entities  []directory.Entity
}

func (b *batch) reset() {
	b.positions, b.targets, b.ids, b.entities = b.positions[:0], b.targets[:0], b.ids[:0], b.entities[:0]
}

func (b *batch) add(position int, t target) {
	b.positions = append(b.positions, position)
	b.targets = append(b.targets, t)
	b.ids = append(b.ids, t.entity)
	b.entities = append(b.entities, directory.Entity{})
}
