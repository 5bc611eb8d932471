package authz_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/authz/directory"
	"github.com/rte-server/rte-server/internal/events"
)

// modelRule is a rule of a policy as the published text describes it.
type modelRule struct {
	roles          []authz.Role
	relation       string
	events, except []string
}

// modelGate decides about one request at a time, by reading the rules one after the other.
type modelGate struct {
	directory *centre
	rules     []modelRule
	counted   map[string]float64
}

// decide returns the topic or the refusal, and the steps of an explanation.
func (m *modelGate) decide(c *authz.Claims, r authz.Request) (authz.Decision, []authz.Step, string) {
	var steps []authz.Step
	pass := func(name, reason string, values ...any) {
		steps = append(steps, authz.Step{Name: name, Passed: true, Reason: fmt.Sprintf(reason, values...)})
	}
	fail := func(label, refusal, name, reason string, values ...any) (authz.Decision, []authz.Step, string) {
		steps = append(steps, authz.Step{Name: name, Reason: fmt.Sprintf(reason, values...)})
		return authz.Decision{Refusal: refusal}, steps, label
	}
	id, ok := events.ParseID(r.EntityID)
	if !ok {
		return fail("invalid_entity", authz.RefusedEntity, "entity id", "not a GUID of 36 characters")
	}
	pass("entity id", "a GUID")
	event, ok := events.Builtin().Lookup(r.EventName)
	if !ok {
		return fail("unknown_event", authz.RefusedEvent, "event", "not in the catalog")
	}
	definition := events.Builtin().Definition(event)
	pass("event", "%s, an event of a %s", definition.Name, definition.Kind)
	entity := m.directory.entities[id]
	switch entity.State {
	case directory.StateUnavailable:
		return fail("unavailable", authz.RefusedUnavailable, "directory", "does not answer")
	case directory.StateUnknown:
		return fail("unknown_entity", authz.RefusedUnauthorized, "directory", "does not know the entity")
	}
	kind := "any kind"
	if entity.Kind != events.KindUnknown {
		kind = entity.Kind.String()
	}
	pass("directory", "%s of organization %s", kind, entity.Organization)
	if !slices.Contains(append([]events.ID{c.Organization}, c.Organizations...), entity.Organization) {
		return fail("foreign_entity", authz.RefusedUnauthorized, "organization",
			"not one of the caller's, who is of %s and %d more", c.Organization, len(c.Organizations))
	}
	pass("organization", "one of the caller's")
	if kind != "any kind" && entity.Kind != definition.Kind {
		return fail("wrong_kind", authz.RefusedKind, "kind", "a %s does not have the event", kind)
	}
	pass("kind", "has the event")
	for _, relation := range []string{"own", "member", "organization", "granted"} {
		if !m.holds(relation, c, id, definition, &entity) {
			continue
		}
		for i := range m.rules {
			if m.rules[i].covers(c.Role, relation, definition.Name) {
				pass("policy", "rule %d allows it to the role %q: %s", i+1, c.Role, relation)
				topic := events.Topic{Organization: entity.Organization, Entity: id, Type: event}
				return authz.Decision{Topic: topic}, steps, "allowed"
			}
		}
	}
	member := map[bool]string{true: ", a member", false: ", not a member"}[entity.Member]
	return fail("policy", authz.RefusedUnauthorized, "policy", "no rule allows it to the role %q%s", c.Role, member)
}

func (*modelGate) holds(
	relation string, c *authz.Claims, id events.ID, definition *events.Definition, e *directory.Entity,
) bool {
	switch relation {
	case "own":
		return definition.Kind == events.KindUser && id == c.User
	case "member":
		return definition.Kind != events.KindUser && e.Member
	case "organization":
		return true
	}
	for _, grant := range c.Grants {
		entity := grant.Entity == (events.ID{}) || grant.Entity == id
		if event := grant.Event == "" || strings.EqualFold(grant.Event, definition.Name); entity && event {
			return true
		}
	}
	return false
}

func (r *modelRule) covers(role authz.Role, relation, event string) bool {
	matches := func(pattern string) bool {
		if prefix, open := strings.CutSuffix(pattern, "*"); open {
			return strings.HasPrefix(strings.ToLower(event), strings.ToLower(prefix))
		}
		return strings.EqualFold(event, pattern)
	}
	return r.relation == relation && slices.Contains(r.roles, role) &&
		slices.ContainsFunc(r.events, matches) && !slices.ContainsFunc(r.except, matches)
}

// text is the rule in YAML.
func (r *modelRule) text() string {
	return fmt.Sprintf("  - {roles: %v, relation: %s, events: %s, except: %s}\n",
		strings.ReplaceAll(fmt.Sprint(r.roles), " ", ","), r.relation, yamlList(r.events), yamlList(r.except))
}

func yamlList(texts []string) string { return `["` + strings.Join(texts, `","`) + `"]` }

// gateWorld makes random input.
type gateWorld struct {
	*rand.Rand
	ids   []events.ID // of entities, the first is also the user
	homes []events.ID
}

func (w *gateWorld) names(n int) []string {
	patterns := []string{"*", "User*", "queue*", "UserCall*", "callback*"}
	names := events.Builtin().Names()
	chosen := make([]string, n)
	for i := range chosen {
		switch chosen[i] = pick(w, names); w.IntN(4) {
		case 0, 1:
			chosen[i] = pick(w, patterns)
		case 2:
			chosen[i] += "*" // longer than most names
		}
	}
	return chosen
}

func pick[T any](w *gateWorld, all []T) T { return all[w.IntN(len(all))] }

func (w *gateWorld) rules() []modelRule {
	roles := []authz.Role{authz.RoleAgent, authz.RoleSupervisor, authz.RoleService}
	rules := make([]modelRule, 1+w.IntN(6))
	for i := range rules {
		rules[i] = modelRule{
			roles:    roles[w.IntN(2) : 2+w.IntN(2)],
			relation: pick(w, []string{"own", "member", "organization", "granted"}),
			events:   w.names(1 + w.IntN(4)),
		}
		for _, name := range w.names(w.IntN(3)) {
			if name != "*" {
				rules[i].except = append(rules[i].except, name)
			}
		}
		if rules[i].except == nil {
			rules[i].except = []string{"QueueStatus"}
		}
	}
	return rules
}

func (w *gateWorld) entity() directory.Entity {
	kinds := []events.Kind{events.KindUnknown, events.KindUser, events.KindQueue, events.KindCallList}
	switch w.IntN(8) {
	case 0:
		return directory.Entity{State: directory.StateUnavailable}
	case 1:
		return directory.Entity{}
	}
	return directory.Entity{
		State: directory.StateKnown, Kind: pick(w, kinds), Organization: pick(w, w.homes), Member: w.IntN(2) == 0,
	}
}

func (w *gateWorld) claims() *authz.Claims {
	c := &authz.Claims{
		User: w.ids[0], Organization: w.homes[0],
		Role: pick(w, []authz.Role{authz.RoleAgent, authz.RoleSupervisor, authz.RoleService, "none"}),
	}
	c.Organizations = slices.Clone(w.homes[1:][:w.IntN(len(w.homes)-1)])
	for range w.IntN(3) {
		grant := authz.Grant{Entity: pick(w, append(w.ids, events.ID{})), Event: strings.ToUpper(w.names(1)[0])}
		if w.IntN(3) == 0 {
			grant.Event = ""
		}
		c.Grants = append(c.Grants, grant)
	}
	return c
}

func (w *gateWorld) requests() []authz.Request {
	requests := make([]authz.Request, w.IntN(12))
	for i := range requests {
		requests[i] = authz.Request{EntityID: pick(w, w.ids).String(), EventName: pick(w, events.Builtin().Names())}
		switch w.IntN(8) {
		case 0:
			requests[i].EntityID = requests[i].EntityID[1:]
		case 1:
			requests[i].EventName += "s"
		case 2:
			requests[i].EventName = strings.ToLower(requests[i].EventName)
		}
	}
	return requests
}

// TestGate_agreesWithModel compares all decisions, explanations, rechecks and counters with a model that reads one rule
// after the other, for random policies, directories, callers and batches.
func TestGate_agreesWithModel(t *testing.T) {
	for seed := range uint64(40) {
		w := &gateWorld{Rand: rand.New(rand.NewPCG(seed, 0))}
		for range 8 {
			w.ids = append(w.ids, events.NewID())
		}
		w.homes = w.ids[5:]
		m := &modelGate{directory: &centre{entities: map[events.ID]directory.Entity{}}, counted: map[string]float64{}}
		m.rules = w.rules()
		text := "rules:\n"
		for i := range m.rules {
			text += m.rules[i].text()
		}
		policy, err := authz.ParsePolicy([]byte(text), events.Builtin())
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		registry := prometheus.NewPedanticRegistry()
		gate, err := authz.NewAuthorizer(authz.AuthorizerOptions{
			Catalog: events.Builtin(), Directory: m.directory, Policy: policy, Registerer: registry,
		})
		if err != nil {
			t.Fatal(err)
		}
		for step := range 25 {
			for _, id := range w.ids {
				m.directory.entities[id] = w.entity()
			}
			if !m.check(t, gate, w.claims(), w.requests()) {
				t.Fatalf("seed %d, step %d, with\n%s", seed, step, text)
			}
		}
		if diff := cmp.Diff(m.counted, mustReadDecisions(t, registry)); diff != "" {
			t.Fatalf("seed %d: %s", seed, diff)
		}
	}
}

// check compares a batch, each of its requests alone, and the topics that it allows.
func (m *modelGate) check(t *testing.T, gate *authz.Gate, c *authz.Claims, requests []authz.Request) bool {
	t.Helper()
	got := gate.Authorize(t.Context(), c, requests)
	want := make([]authz.Decision, len(requests))
	var topics []events.Topic
	for i, r := range requests {
		decision, steps, label := m.decide(c, r)
		m.counted[label]++
		explanation := gate.Explain(t.Context(), c, r)
		expected := authz.Explanation{Allowed: decision.Refusal == "", Message: decision.Refusal, Steps: steps}
		if diff := cmp.Diff(expected, explanation); diff != "" {
			t.Errorf("%+v: %s", r, diff)
		}
		if want[i] = decision; decision.Refusal == "" {
			topics = append(topics, decision.Topic)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%+v asks for %+v: %s", c, requests, diff)
	}
	// A recheck ends nothing until the directory describes the entity differently.
	if allowed := gate.Recheck(t.Context(), c, topics); slices.Contains(allowed, false) {
		t.Errorf("%+v: what was allowed is not: %v", c, allowed)
	}
	for _, topic := range topics {
		before := maps.Clone(m.directory.entities)
		for id, entity := range before {
			if id == topic.Entity || entity.State == directory.StateUnavailable {
				continue
			}
			m.directory.entities[topic.Entity] = entity
			name := events.Builtin().Definition(topic.Type).Name
			decision, _, _ := m.decide(c, authz.Request{EntityID: topic.Entity.String(), EventName: name})
			stays := decision.Topic == topic
			if allowed := gate.Recheck(t.Context(), c, []events.Topic{topic}); allowed[0] != stays {
				t.Errorf("%+v: %s is %+v now: got %v", c, name, entity, allowed)
			}
		}
		m.directory.entities = before
	}
	return !t.Failed()
}

func mustReadDecisions(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counted := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if n := metric.GetCounter().GetValue(); n > 0 && family.GetName() == "rte_authz_decisions_total" {
				counted[metric.GetLabel()[0].GetValue()] = n
			}
		}
	}
	return counted
}
