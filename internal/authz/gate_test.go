package authz_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/authz/directory"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// centre is a Directory in a map, which counts its lookups.
type centre struct {
	entities  map[events.ID]directory.Entity
	requested int
}

func (d *centre) Lookup(_ context.Context, _ directory.Caller, ids []events.ID, entities []directory.Entity) {
	d.requested++
	for i, id := range ids {
		entities[i] = d.entities[id]
	}
}

func (*centre) Invalidate(authz.Change) {}

func mustGate(tb testing.TB, d authz.Directory) *authz.Gate {
	tb.Helper()
	gate, err := authz.NewAuthorizer(authz.AuthorizerOptions{Catalog: events.Builtin(), Directory: d})
	if err != nil {
		tb.Fatal(err)
	}
	return gate
}

var (
	home, other, foreign = events.NewID(), events.NewID(), events.NewID()

	me, colleague, stranger      = events.NewID(), events.NewID(), events.NewID()
	ownQueue, queue, otherQueue  = events.NewID(), events.NewID(), events.NewID()
	foreignQueue, unavailable    = events.NewID(), events.NewID()
	ownCallList, callList        = events.NewID(), events.NewID()
	unknownEntity, otherOrgAgent = events.NewID(), events.NewID()
)

func callCentre() *centre {
	return &centre{entities: map[events.ID]directory.Entity{
		me:            {State: directory.StateKnown, Kind: events.KindUser, Organization: home},
		colleague:     {State: directory.StateKnown, Kind: events.KindUser, Organization: home},
		stranger:      {State: directory.StateKnown, Kind: events.KindUser, Organization: foreign},
		otherOrgAgent: {State: directory.StateKnown, Kind: events.KindUser, Organization: other},
		ownQueue:      {State: directory.StateKnown, Kind: events.KindQueue, Organization: home, Member: true},
		queue:         {State: directory.StateKnown, Kind: events.KindQueue, Organization: home},
		otherQueue:    {State: directory.StateKnown, Kind: events.KindQueue, Organization: other},
		foreignQueue:  {State: directory.StateKnown, Kind: events.KindQueue, Organization: foreign, Member: true},
		ownCallList:   {State: directory.StateKnown, Kind: events.KindCallList, Organization: home, Member: true},
		callList:      {State: directory.StateKnown, Kind: events.KindCallList, Organization: home},
		unavailable:   {State: directory.StateUnavailable},
	}}
}

func TestAuthorize_publishedSteps(t *testing.T) {
	agent := authz.Claims{User: me, Organization: home, Role: authz.RoleAgent}
	service := authz.Claims{User: me, Organization: home, Role: authz.RoleService}
	for name, test := range map[string]struct {
		claims        authz.Claims
		entity, event string
		refusal       string
	}{
		"Allowed":                   {agent, me.String(), "UserStatus", ""},
		"AllowedInAnyCase":          {agent, me.String(), "userSTATUS", ""},
		"AllowedAsSpelledInTheText": {agent, me.String(), "UserCallIncoming", ""},
		"EntityEmpty":               {agent, "", "UserStatus", authz.RefusedEntity},
		"EntityInBraces":            {agent, "{" + me.String() + "}", "UserStatus", authz.RefusedEntity},
		"EntityBeforeEvent":         {agent, "x", "NoSuchEvent", authz.RefusedEntity},
		"EventUnknown":              {agent, me.String(), "NoSuchEvent", authz.RefusedEvent},
		"EventUnknownBeforeForeign": {agent, stranger.String(), "NoSuchEvent", authz.RefusedEvent},
		"EventEmpty":                {agent, me.String(), "", authz.RefusedEvent},
		"KindWrong":                 {agent, ownQueue.String(), "UserStatus", authz.RefusedKind},
		"KindWrongBeforePolicy":     {agent, queue.String(), "UserAlert", authz.RefusedKind},
		"KindOfForeignStaysUnknown": {service, foreignQueue.String(), "UserStatus", authz.RefusedUnauthorized},
		"ForeignEntity":             {service, foreignQueue.String(), "QueueStatus", authz.RefusedUnauthorized},
		"UnknownEntity":             {service, unknownEntity.String(), "QueueStatus", authz.RefusedUnauthorized},
		"ClosedByPolicy":            {agent, queue.String(), "QueueStatus", authz.RefusedUnauthorized},
		"DirectoryAway":             {service, unavailable.String(), "QueueStatus", authz.RefusedUnavailable},
		"DirectoryAwayEventUnknown": {service, unavailable.String(), "NoSuchEvent", authz.RefusedEvent},
		"RoleNobodyKnows": {
			authz.Claims{User: me, Organization: home, Role: "root"}, me.String(), "UserStatus", authz.RefusedUnauthorized,
		},
		"NoFurtherOrganizationByRole": {service, otherQueue.String(), "QueueStatus", authz.RefusedUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			gate := mustGate(t, callCentre())
			decisions := gate.Authorize(
				t.Context(), &test.claims, []authz.Request{{EntityID: test.entity, EventName: test.event}},
			)
			if len(decisions) != 1 || decisions[0].Refusal != test.refusal {
				t.Fatalf("got %+v, want refusal %q", decisions, test.refusal)
			}
			codes := map[string]string{
				"": "", authz.RefusedEntity: "invalid_entity", authz.RefusedEvent: "unknown_event", authz.RefusedKind: "wrong_kind",
				authz.RefusedUnauthorized: "unauthorized", authz.RefusedUnavailable: "unavailable",
			}
			if code := decisions[0].Code(); code != codes[test.refusal] {
				t.Errorf("code %q", code)
			}
			if test.refusal != "" && decisions[0].Topic != (events.Topic{}) {
				t.Errorf("a refusal carries the topic %+v", decisions[0].Topic)
			}
		})
	}
}

func TestAuthorize_answersInOrderFromOneLook(t *testing.T) {
	d := callCentre()
	gate := mustGate(t, d)
	claims := authz.Claims{User: me, Organization: home, Organizations: []events.ID{other}, Role: authz.RoleSupervisor}
	catalog := events.Builtin()
	userStatus, _ := catalog.Lookup("UserStatus")
	queueStatus, _ := catalog.Lookup("QueueStatus")

	decisions := gate.Authorize(t.Context(), &claims, []authz.Request{
		{EntityID: "garbage", EventName: "UserStatus"},
		{EntityID: colleague.String(), EventName: "UserStatus"},
		{EntityID: stranger.String(), EventName: "UserStatus"},
		{EntityID: otherQueue.String(), EventName: "QueueStatus"},
		{EntityID: colleague.String(), EventName: "nothing"},
		{EntityID: colleague.String(), EventName: "userstatus"},
	})

	want := []authz.Decision{
		{Refusal: authz.RefusedEntity},
		{Topic: events.Topic{Organization: home, Entity: colleague, Type: userStatus}},
		{Refusal: authz.RefusedUnauthorized},
		{Topic: events.Topic{Organization: other, Entity: otherQueue, Type: queueStatus}},
		{Refusal: authz.RefusedEvent},
		{Topic: events.Topic{Organization: home, Entity: colleague, Type: userStatus}},
	}
	if diff := cmp.Diff(want, decisions); diff != "" {
		t.Error(diff)
	}
	if d.requested != 1 {
		t.Errorf("the directory got %d requests", d.requested)
	}
}

func TestAuthorize_withoutRequests(t *testing.T) {
	d := callCentre()
	gate := mustGate(t, d)
	claims := authz.Claims{User: me, Organization: home, Role: authz.RoleAgent}
	if decisions := gate.Authorize(t.Context(), &claims, nil); len(decisions) != 0 {
		t.Errorf("got %v", decisions)
	}
	gate.Authorize(t.Context(), &claims, []authz.Request{{EntityID: "x"}})
	if d.requested != 0 {
		t.Errorf("the directory got %d requests without ids", d.requested)
	}
}

func TestAuthorize_claimsDirectory(t *testing.T) {
	gate := mustGate(t, directory.FromClaims{})
	agent := authz.Claims{User: me, Organization: home, Organizations: []events.ID{other}, Role: authz.RoleAgent}
	for _, name := range events.Builtin().Names() {
		entity := me
		if d := definition(t, name); d.Kind != events.KindUser {
			entity = events.NewID()
		}
		decision := gate.Authorize(t.Context(), &agent, []authz.Request{{EntityID: entity.String(), EventName: name}})[0]
		if decision.Refusal != "" || decision.Topic.Organization != home {
			t.Errorf("%s: %+v", name, decision)
		}
	}
	for event, refusal := range map[string]string{
		"UserStatus": "", "UserAvailability": "", "UserCallInComing": authz.RefusedUnauthorized,
		"UserAlert": authz.RefusedUnauthorized,
	} {
		decision := gate.Authorize(t.Context(), &agent, []authz.Request{{EntityID: colleague.String(), EventName: event}})[0]
		if decision.Refusal != refusal {
			t.Errorf("%s of a colleague: %q, want %q", event, decision.Refusal, refusal)
		}
	}
}

func definition(tb testing.TB, name string) *events.Definition {
	tb.Helper()
	catalog := events.Builtin()
	number, ok := catalog.Lookup(name)
	if !ok {
		tb.Fatalf("%s is not in the catalog", name)
	}
	return catalog.Definition(number)
}

func TestAuthorize_allocatesNothing(t *testing.T) {
	for name, gate := range map[string]*authz.Gate{"Claims": mustGate(t, directory.FromClaims{}), "Cached": mustWarm(t)} {
		for _, entity := range []events.ID{queue, foreignQueue, unknownEntity} {
			requests := []authz.Request{{EntityID: entity.String(), EventName: "queueStatus"}}
			decisions := make([]authz.Decision, 1)
			if allocs := testing.AllocsPerRun(1000, func() {
				gate.AuthorizeInto(t.Context(), agentOfHome, requests, decisions)
			}); allocs > 0 && !rtetest.RaceEnabled {
				t.Errorf("%s: %v allocations", name, allocs)
			}
		}
	}
}

// TestPolicy_decides checks the default policy for every event, relation and role.
func TestPolicy_decides(t *testing.T) {
	personal := []string{"UserAlert", "UserSetting"}
	presence := []string{"UserStatus", "UserAvailability"}
	none := func(string) bool { return false }
	all := func(string) bool { return true }
	but := func(names []string) func(string) bool {
		return func(name string) bool { return !slices.Contains(names, name) }
	}
	only := func(names []string) func(string) bool {
		return func(name string) bool { return slices.Contains(names, name) }
	}
	type row map[authz.Role]func(event string) bool
	for name, relation := range map[string]struct {
		entity  map[events.Kind]events.ID
		grants  []authz.Grant
		allowed row
	}{
		"Own": {
			entity:  map[events.Kind]events.ID{events.KindUser: me},
			allowed: row{authz.RoleAgent: all, authz.RoleSupervisor: all, authz.RoleService: all},
		},
		"Member": {
			entity:  map[events.Kind]events.ID{events.KindQueue: ownQueue, events.KindCallList: ownCallList},
			allowed: row{authz.RoleAgent: all, authz.RoleSupervisor: all, authz.RoleService: all},
		},
		"SameOrganization": {
			entity: map[events.Kind]events.ID{
				events.KindUser: colleague, events.KindQueue: queue, events.KindCallList: callList,
			},
			allowed: row{
				authz.RoleAgent: only(presence), authz.RoleSupervisor: but(personal), authz.RoleService: but(personal),
			},
		},
		"FurtherOrganization": {
			entity: map[events.Kind]events.ID{events.KindUser: otherOrgAgent, events.KindQueue: otherQueue},
			allowed: row{
				authz.RoleAgent: only(presence), authz.RoleSupervisor: but(personal), authz.RoleService: but(personal),
			},
		},
		"Foreign": {
			entity:  map[events.Kind]events.ID{events.KindUser: stranger, events.KindQueue: foreignQueue},
			grants:  []authz.Grant{{Entity: stranger}, {Entity: foreignQueue}},
			allowed: row{authz.RoleAgent: none, authz.RoleSupervisor: none, authz.RoleService: none},
		},
		"Unknown": {
			entity: map[events.Kind]events.ID{
				events.KindUser: unknownEntity, events.KindQueue: unknownEntity, events.KindCallList: unknownEntity,
			},
			grants:  []authz.Grant{{Entity: unknownEntity}},
			allowed: row{authz.RoleAgent: none, authz.RoleSupervisor: none, authz.RoleService: none},
		},
		"GrantedEntity": {
			entity: map[events.Kind]events.ID{
				events.KindUser: colleague, events.KindQueue: queue, events.KindCallList: callList,
			},
			grants:  []authz.Grant{{Entity: colleague}, {Entity: queue}, {Entity: callList}},
			allowed: row{authz.RoleAgent: all, authz.RoleSupervisor: all, authz.RoleService: all},
		},
		"GrantedEvent": {
			entity: map[events.Kind]events.ID{events.KindUser: colleague, events.KindQueue: queue},
			grants: []authz.Grant{{Event: "useralert"}, {Event: "QueueStatus"}},
			allowed: row{
				authz.RoleAgent:      only([]string{"UserStatus", "UserAvailability", "UserAlert", "QueueStatus"}),
				authz.RoleSupervisor: but([]string{"UserSetting"}),
				authz.RoleService:    but([]string{"UserSetting"}),
			},
		},
		"GrantedEventOfAnotherEntity": {
			entity: map[events.Kind]events.ID{events.KindUser: colleague},
			grants: []authz.Grant{{Entity: me, Event: "UserAlert"}},
			allowed: row{
				authz.RoleAgent: only(presence), authz.RoleSupervisor: but(personal), authz.RoleService: but(personal),
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			gate := mustGate(t, callCentre())
			for role, allowed := range relation.allowed {
				claims := authz.Claims{
					User: me, Organization: home, Organizations: []events.ID{other}, Role: role, Grants: relation.grants,
				}
				for _, event := range events.Builtin().Names() {
					entity, ok := relation.entity[definition(t, event).Kind]
					if !ok {
						continue
					}
					decision := gate.Authorize(t.Context(), &claims, []authz.Request{{EntityID: entity.String(), EventName: event}})[0]
					want := authz.RefusedUnauthorized
					if allowed(event) {
						want = ""
					}
					if decision.Refusal != want {
						t.Errorf("%s, %s: got %q, want %q", role, event, decision.Refusal, want)
					}
				}
			}
		})
	}
}

func TestParsePolicy_refusesMistakes(t *testing.T) {
	for name, text := range map[string]string{
		"Empty":           ``,
		"NoRules":         `rules: []`,
		"NotYAML":         `rules: [`,
		"UnknownKey":      `{rules: [{roles: [agent], relation: own, events: ["*"], allow: true}]}`,
		"UnknownRole":     `{rules: [{roles: [root], relation: own, events: ["*"]}]}`,
		"UnknownRelation": `{rules: [{roles: [agent], relation: friend, events: ["*"]}]}`,
		"UnknownEvent":    `{rules: [{roles: [agent], relation: own, events: [UserStatsu]}]}`,
		"UnknownPattern":  `{rules: [{roles: [agent], relation: own, events: ["Agent*"]}]}`,
		"UnknownExcept":   `{rules: [{roles: [agent], relation: own, events: ["*"], except: [X]}]}`,
		"TwoDocuments":    "rules: [{roles: [agent], relation: own, events: ['*']}]\n---\nrules: []",
		"NoRoles":         `{rules: [{relation: own, events: ["*"]}]}`,
		"NoEvents":        `{rules: [{roles: [agent], relation: own}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := authz.ParsePolicy([]byte(text), events.Builtin())
			if err == nil {
				t.Fatal("accepted")
			}
			inRule := !slices.Contains([]string{"Empty", "NoRules", "NotYAML", "UnknownKey", "TwoDocuments"}, name)
			if inRule && !strings.Contains(err.Error(), "rule 1: ") {
				t.Errorf("the error does not name the rule: %v", err)
			}
		})
	}
}

func TestAuthorize_policyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	rtetest.MustReplaceFile(
		t, path, []byte(`{rules: [{roles: [agent], relation: organization, events: ["queue*"], except: [QueueStatus]}]}`),
	)
	gate, err := authz.NewAuthorizer(authz.AuthorizerOptions{
		Catalog: events.Builtin(), Directory: callCentre(), PolicyFile: path,
	})
	if err != nil {
		t.Fatal(err)
	}
	claims := authz.Claims{
		User: me, Organization: home, Role: authz.RoleAgent, Grants: []authz.Grant{{Event: "UserStatus"}},
	}
	for event, want := range map[string]string{
		"QueueCallInComing": "", "QueueStatus": authz.RefusedUnauthorized, "UserStatus": authz.RefusedUnauthorized,
	} {
		entity := queue
		if event == "UserStatus" {
			entity = me
		}
		decision := gate.Authorize(t.Context(), &claims, []authz.Request{{EntityID: entity.String(), EventName: event}})[0]
		if decision.Refusal != want {
			t.Errorf("%s: got %q, want %q", event, decision.Refusal, want)
		}
	}
}

// TestGate_concurrent is for the race detector: the working memory of a batch is shared through a pool.
func TestGate_concurrent(t *testing.T) {
	gate := mustGate(t, directory.FromClaims{})
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			claims := authz.Claims{User: me, Organization: events.NewID(), Role: authz.RoleAgent}
			for range 200 {
				for _, d := range gate.Authorize(t.Context(), &claims, []authz.Request{
					{EntityID: me.String(), EventName: "UserStatus"}, {EntityID: queue.String(), EventName: "QueueStatus"},
				}) {
					if d.Topic.Organization != claims.Organization {
						t.Errorf("a decision for %s carries organization %s", claims.Organization, d.Topic.Organization)
					}
				}
			}
		})
	}
	callers.Wait()
}
