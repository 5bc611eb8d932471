package authz_test

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
)

func TestRecheck(t *testing.T) {
	d := callCentre()
	gate := mustGate(t, d)
	status, _ := events.Builtin().Lookup("QueueStatus")
	userStatus, _ := events.Builtin().Lookup("UserStatus")
	topics := []events.Topic{
		{Organization: home, Entity: ownQueue, Type: status},
		{Organization: home, Entity: queue, Type: status},
		{Organization: home, Entity: colleague, Type: userStatus},
		{Organization: home, Entity: unavailable, Type: status},
		{Organization: home, Entity: unknownEntity, Type: status},
	}
	check := func(name string, want ...bool) {
		t.Helper()
		if diff := cmp.Diff(want, gate.Recheck(t.Context(), agentOfHome, topics)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	check("as it is", true, false, true, true, false)
	d.entities[ownQueue] = authz.Entity{State: authz.StateKnown, Kind: events.KindQueue, Organization: home}
	check("no longer a member", false, false, true, true, false)
	d.entities[colleague] = authz.Entity{State: authz.StateKnown, Kind: events.KindUser, Organization: foreign}
	check("moved away", false, false, false, true, false)
	if d.asked != 3 {
		t.Errorf("the directory was asked %d times", d.asked)
	}
	// Still the caller's, but the topic carries the organization before: its events will never come.
	both := &authz.Claims{User: me, Organization: home, Organizations: []events.ID{foreign}, Role: authz.RoleService}
	if allowed := gate.Recheck(t.Context(), both, topics[2:3]); allowed[0] {
		t.Error("a topic of another organization stays")
	}
}

func TestAuthorize_PolicyFileIsWatched(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	mustWrite(t, path, authz.DefaultPolicy)
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.DebugLevel)
		var changes []authz.Change
		gate, err := authz.NewAuthorizer(authz.AuthorizerOptions{
			Catalog: events.Builtin(), Directory: callCentre(), PolicyFile: path, Logger: zap.New(core),
			Changed: func(c authz.Change) { changes = append(changes, c) },
		})
		if err != nil {
			t.Fatal(err)
		}
		stop := start(t, gate.Run)
		want := func(refusal string) {
			t.Helper()
			request := authz.Request{EntityID: ownQueue.String(), EventName: "QueueStatus"}
			if decision := gate.Authorize(t.Context(), agentOfHome, []authz.Request{request})[0]; decision.Refusal != refusal {
				t.Errorf("got %q, want %q", decision.Refusal, refusal)
			}
		}
		want("")
		mustWrite(t, path, []byte(`{rules: [{roles: [agent], relation: own, events: ["*"]}]}`))
		time.Sleep(3 * time.Second)
		want(authz.RefusedUnauthorized)
		mustWrite(t, path, []byte(`{rules: [{roles: [agent], relation: member, events: [QueueStatu]}]}`))
		time.Sleep(3 * time.Second)
		want(authz.RefusedUnauthorized)
		mustWrite(t, path, authz.DefaultPolicy)
		time.Sleep(3 * time.Second)
		want("")
		stop()
		if diff := cmp.Diff([]authz.Change{{All: true}, {All: true}}, changes); diff != "" {
			t.Error(diff)
		}
		if refused := logs.FilterLevelExact(zap.ErrorLevel).Len(); refused != 1 {
			t.Errorf("%d errors in the log for one bad file", refused)
		}
	})
}

func TestRun_WithoutAnythingToWatch(t *testing.T) {
	start(t, mustGate(t, authz.ClaimsDirectory{}).Run)()
	start(t, mustVerifier(t, standard()).Run)()
}
