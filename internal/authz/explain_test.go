package authz_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/authz/directory"
	"github.com/rte-server/rte-server/internal/events"
)

// TestExplain_agreesWithAuthorize compares both for every event of every entity and every role.
func TestExplain_agreesWithAuthorize(t *testing.T) {
	d := callCentre()
	gate := mustGate(t, d)
	entities := []string{"", "garbage", unknownEntity.String()}
	for id := range d.entities {
		entities = append(entities, id.String())
	}
	names := append(events.Builtin().Names(), "", "NoSuchEvent")
	for _, role := range []authz.Role{authz.RoleAgent, authz.RoleSupervisor, authz.RoleService, "none"} {
		claims := &authz.Claims{
			User: me, Organization: home, Organizations: []events.ID{other}, Role: role, Grants: []authz.Grant{
				{Entity: colleague},
			},
		}
		for _, entity := range entities {
			for _, name := range names {
				request := authz.Request{EntityID: entity, EventName: name}
				decision := gate.Authorize(t.Context(), claims, []authz.Request{request})[0]
				explanation := gate.Explain(t.Context(), claims, request)
				if explanation.Message != decision.Refusal || explanation.Allowed != (decision.Refusal == "") {
					t.Errorf("%s, %+v: %q, but explained as %+v", role, request, decision.Refusal, explanation)
				}
				for i, step := range explanation.Steps {
					last := i == len(explanation.Steps)-1
					if step.Passed != (!last || explanation.Allowed) || step.Reason == "" {
						t.Errorf("%s, %+v: step %d is %+v", role, request, i, step)
					}
				}
			}
		}
	}
}

func TestExplain_reasons(t *testing.T) {
	gate := mustGate(t, callCentre())
	agent := &authz.Claims{
		User: me, Organization: home, Role: authz.RoleAgent, Grants: []authz.Grant{{Event: "UserAlert"}},
	}
	guid, known := authz.Step{Name: "entity id", Passed: true, Reason: "a GUID"}, "directory"
	for name, test := range map[string]struct {
		entity events.ID
		event  string
		want   []authz.Step
	}{
		"Allowed": {ownQueue, "queuestatus", []authz.Step{
			guid,
			{Name: "event", Passed: true, Reason: "QueueStatus, an event of a Queue"},
			{Name: known, Passed: true, Reason: "Queue of organization " + home.String()},
			{Name: "organization", Passed: true, Reason: "one of the caller's"},
			{Name: "kind", Passed: true, Reason: "has the event"},
			{Name: "policy", Passed: true, Reason: `rule 2 allows it to the role "agent": member`},
		}},
		"Granted": {colleague, "UserAlert", []authz.Step{
			guid,
			{Name: "event", Passed: true, Reason: "UserAlert, an event of a User"},
			{Name: known, Passed: true, Reason: "User of organization " + home.String()},
			{Name: "organization", Passed: true, Reason: "one of the caller's"},
			{Name: "kind", Passed: true, Reason: "has the event"},
			{Name: "policy", Passed: true, Reason: `rule 5 allows it to the role "agent": granted`},
		}},
		"Policy": {queue, "QueueStatus", []authz.Step{
			guid,
			{Name: "event", Passed: true, Reason: "QueueStatus, an event of a Queue"},
			{Name: known, Passed: true, Reason: "Queue of organization " + home.String()},
			{Name: "organization", Passed: true, Reason: "one of the caller's"},
			{Name: "kind", Passed: true, Reason: "has the event"},
			{Name: "policy", Passed: false, Reason: `no rule allows it to the role "agent", not a member`},
		}},
		"Foreign": {foreignQueue, "QueueStatus", []authz.Step{
			guid,
			{Name: "event", Passed: true, Reason: "QueueStatus, an event of a Queue"},
			{Name: known, Passed: true, Reason: "Queue of organization " + foreign.String()},
			{Name: "organization", Passed: false, Reason: "not one of the caller's, who is of " + home.String() + " and 0 more"},
		}},
		"Unknown": {unknownEntity, "QueueStatus", []authz.Step{
			guid,
			{Name: "event", Passed: true, Reason: "QueueStatus, an event of a Queue"},
			{Name: known, Passed: false, Reason: "does not know the entity"},
		}},
		"Away": {unavailable, "QueueStatus", []authz.Step{
			guid,
			{Name: "event", Passed: true, Reason: "QueueStatus, an event of a Queue"},
			{Name: known, Passed: false, Reason: "does not answer"},
		}},
		"Kind": {ownQueue, "UserStatus", []authz.Step{
			guid,
			{Name: "event", Passed: true, Reason: "UserStatus, an event of a User"},
			{Name: known, Passed: true, Reason: "Queue of organization " + home.String()},
			{Name: "organization", Passed: true, Reason: "one of the caller's"},
			{Name: "kind", Passed: false, Reason: "a Queue does not have the event"},
		}},
		"Event": {ownQueue, "Nothing", []authz.Step{guid, {Name: "event", Passed: false, Reason: "not in the catalog"}}},
	} {
		t.Run(name, func(t *testing.T) {
			explanation := gate.Explain(t.Context(), agent, authz.Request{EntityID: test.entity.String(), EventName: test.event})
			if diff := cmp.Diff(test.want, explanation.Steps); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestExplain_json(t *testing.T) {
	gate := mustGate(t, callCentre())
	data, err := json.Marshal(gate.Explain(t.Context(), agentOfHome, authz.Request{EntityID: "x"}))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"allowed":false,"message":"Invalid entity id","steps":[` +
		`{"step":"entity id","passed":false,"reason":"not a GUID of 36 characters"}]}`
	if string(data) != want {
		t.Errorf("got %s", data)
	}
}

func TestClaimsOf(t *testing.T) {
	gate := mustGate(t, callCentre())
	want := &authz.Claims{User: stranger, Organization: foreign, Role: authz.RoleService}
	if claims, ok := gate.ClaimsOf(t.Context(), stranger, authz.RoleService); !ok || !cmp.Equal(want, claims) {
		t.Errorf("got %+v, %v", claims, ok)
	}
	for _, id := range []events.ID{queue, unknownEntity, unavailable} {
		if claims, ok := gate.ClaimsOf(t.Context(), id, authz.RoleAgent); ok {
			t.Errorf("got %+v", claims)
		}
	}
	if claims, ok := mustGate(t, directory.FromClaims{}).ClaimsOf(t.Context(), me, authz.RoleAgent); ok {
		t.Errorf("got %+v", claims)
	}
}
