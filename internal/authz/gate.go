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
	keptBatch     = 4096    // requests of a batch above which its memory is not kept for the next one
	maxPolicyFile = 1 << 20 // bytes
)

// AuthorizerOptions are what a Gate decides by.
type AuthorizerOptions struct {
	Catalog   *events.Catalog // needed
	Directory Directory       // needed
	// Policy is what is in force if there is no PolicyFile. It must be made for Catalog. Default: DefaultPolicy.
	Policy *Policy
	// PolicyFile is a file in the form of DefaultPolicy. It is watched.
	PolicyFile string
	// Changed is called, by Run, when another version of the policy has come into force, and again and again with what
	// Recheck could not decide about because the directory was away. Default: nothing.
	Changed func(Change)

	Logger     *zap.Logger           // default: none
	Registerer prometheus.Registerer // default: none
}

// Gate is the Authorizer that takes the published steps: is the entity id a GUID, is the event known, does the entity
// have it, may the caller listen to it. It may be used from any goroutine.
type Gate struct {
	catalog    *events.Catalog
	directory  Directory
	policy     atomic.Pointer[Policy]
	policyFile *watch.File  // nil: the default policy
	changed    func(Change) // nil: nobody wants to know
	undecided  *undecided
	metrics    *gateMetrics
	batches    sync.Pool // of *batch
}

var _ Authorizer = (*Gate)(nil)

// NewAuthorizer makes a Gate and reads the policy.
func NewAuthorizer(o AuthorizerOptions) (*Gate, error) {
	if o.Catalog == nil || o.Directory == nil {
		return nil, errors.New("authorizer: a catalogue and a directory are needed")
	}
	g := &Gate{
		catalog: o.Catalog, directory: o.Directory, metrics: newGateMetrics(o.Registerer), undecided: newUndecided(o.Registerer),
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
	g.changed = o.Changed
	return g, nil
}

// Run watches the policy file, and has decided again what Recheck could not decide, until ctx ends. It returns nil.
func (g *Gate) Run(ctx context.Context) error {
	var running sync.WaitGroup
	if g.policyFile != nil {
		running.Go(func() { _ = g.policyFile.Run(ctx) })
	}
	if g.changed != nil {
		running.Go(func() { g.undecided.run(ctx, g.changed) })
	}
	<-ctx.Done()
	running.Wait()
	return nil
}

// loadPolicy takes a policy into force.
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

// AuthorizeInto is Authorize into decisions, which has the length of requests. It allocates nothing of its own.
func (g *Gate) AuthorizeInto(ctx context.Context, claims *Claims, requests []Request, decisions []Decision) {
	b := g.batches.Get().(*batch) // the pool holds nothing else
	b.reset()
	for i := range requests {
		q, v := g.read(&requests[i])
		if v != verdictAllowed {
			decisions[i] = g.decision(v, events.Topic{})
			continue
		}
		b.add(i, q)
	}
	if len(b.ids) > 0 {
		g.directory.Lookup(ctx, callerOf(claims), b.ids, b.entities)
	}
	for i, q := range b.questions {
		e := &b.entities[i]
		v, _ := g.judge(claims, q, e)
		decisions[b.positions[i]] = g.decision(v, events.Topic{Organization: e.Organization, Entity: q.entity, Type: q.event})
	}
	if cap(b.ids) <= keptBatch {
		g.batches.Put(b)
	}
}

// question is a request that can be asked: it names an entity and an event.
type question struct {
	entity events.ID
	event  events.Type
}

// read takes the first steps, for which nobody has to be asked. It answers verdictAllowed if they are taken.
func (g *Gate) read(r *Request) (question, verdict) {
	entity, ok := events.ParseID(r.EntityID)
	if !ok {
		return question{}, verdictEntityInvalid
	}
	event, ok := g.catalog.Lookup(r.EventName)
	if !ok {
		return question{}, verdictEventUnknown
	}
	return question{entity, event}, verdictAllowed
}

// judge takes the other steps. If the answer is verdictAllowed, ground says why.
func (g *Gate) judge(claims *Claims, q question, e *directory.Entity) (v verdict, why ground) {
	definition := g.catalog.Definition(q.event)
	switch {
	case e.State == directory.StateUnavailable:
		return verdictUnavailable, ground{}
	case e.State == directory.StateUnknown:
		return verdictEntityUnknown, ground{}
	case !claims.BelongsTo(e.Organization):
		// Before the kind is compared: the kind of a foreign entity is nobody's business.
		return verdictEntityForeign, ground{}
	case e.Kind != events.KindUnknown && e.Kind != definition.Kind:
		return verdictWrongKind, ground{}
	}
	if why = g.permission(claims, q, definition, e); why.rule == 0 {
		return verdictPolicy, ground{}
	}
	return verdictAllowed, why
}

// ground is why a request is allowed.
type ground struct {
	relation relation
	rule     int // of the policy, from 1
}

// permission finds a rule of the policy that allows the request; the rule of the ground is 0 if there is none.
func (g *Gate) permission(claims *Claims, q question, definition *events.Definition, e *directory.Entity) ground {
	holds := [numRelations]bool{
		relationOwn:          definition.Kind == events.KindUser && q.entity == claims.User,
		relationMember:       definition.Kind != events.KindUser && e.Member,
		relationOrganization: true,
	}
	rules := g.policy.Load().of(claims.Role)
	if rules == nil {
		return ground{}
	}
	for r := range relationGranted { // those before it
		if rule := rules[r][q.event]; rule != 0 && holds[r] {
			return ground{r, int(rule)}
		}
	}
	for i := range claims.Grants {
		if claims.Grants[i].Covers(q.entity, definition.Name) {
			return ground{relationGranted, int(rules[relationGranted][q.event])}
		}
	}
	return ground{}
}

// decision is the answer for a verdict, and counts it. The topic counts if the verdict is verdictAllowed.
func (g *Gate) decision(v verdict, topic events.Topic) Decision {
	g.metrics.decisions[v].Inc()
	if v != verdictAllowed {
		return Decision{Refusal: verdicts[v].refusal}
	}
	return Decision{Topic: topic}
}

// batch is what one call of Authorize works with: the questions that go to the directory, and its answers.
type batch struct {
	positions []int // of the questions among the requests
	questions []question
	ids       []events.ID
	entities  []directory.Entity
}

func (b *batch) reset() {
	b.positions, b.questions, b.ids, b.entities = b.positions[:0], b.questions[:0], b.ids[:0], b.entities[:0]
}

func (b *batch) add(position int, q question) {
	b.positions = append(b.positions, position)
	b.questions = append(b.questions, q)
	b.ids = append(b.ids, q.entity)
	b.entities = append(b.entities, directory.Entity{})
}
