package authz_test

import (
	"context"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/authz/directory"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
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
	d.entities[ownQueue] = directory.Entity{State: directory.StateKnown, Kind: events.KindQueue, Organization: home}
	check("no longer a member", false, false, true, true, false)
	d.entities[colleague] = directory.Entity{State: directory.StateKnown, Kind: events.KindUser, Organization: foreign}
	check("moved away", false, false, false, true, false)
	if d.requested != 3 {
		t.Errorf("the directory got %d requests", d.requested)
	}
	// The entity is still the caller's, but the topic carries its previous organization: its events will never come.
	both := &authz.Claims{User: me, Organization: home, Organizations: []events.ID{foreign}, Role: authz.RoleService}
	if allowed := gate.Recheck(t.Context(), both, topics[2:3]); allowed[0] {
		t.Error("a topic of another organization stays")
	}
}

// unreliable is a directory that can be unavailable.
type unreliable struct {
	authz.Directory
	away atomic.Bool
}

func (d *unreliable) Lookup(
	ctx context.Context, caller directory.Caller, ids []events.ID, entities []directory.Entity,
) {
	if !d.away.Load() {
		d.Directory.Lookup(ctx, caller, ids, entities)
		return
	}
	for i := range ids {
		entities[i] = directory.Entity{State: directory.StateUnavailable}
	}
}

// TestRecheck_directoryAway checks that a change is retried, less and less often, until the directory is available.
func TestRecheck_directoryAway(t *testing.T) {
	status, _ := events.Builtin().Lookup("QueueStatus")
	lost := []events.Topic{{Organization: home, Entity: queue, Type: status}}
	synctest.Test(t, func(t *testing.T) {
		d, registry := &unreliable{Directory: callCentre()}, prometheus.NewPedanticRegistry()
		d.away.Store(true)
		var gate *authz.Gate
		var attempts, ended atomic.Int64
		var last atomic.Pointer[authz.Change]
		gate, err := authz.NewAuthorizer(authz.AuthorizerOptions{
			Catalog: events.Builtin(), Directory: d, Registerer: registry,
			Changed: func(change authz.Change) { // as a hub does
				attempts.Add(1)
				last.Store(&change)
				if !change.All && !slices.Contains(change.Entities, queue) {
					t.Errorf("another change: %+v", change)
				}
				if !gate.Recheck(context.Background(), agentOfHome, lost)[0] {
					ended.Add(1)
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		stop := rtetest.Start(t, gate.Run)
		defer stop()
		if !gate.Recheck(t.Context(), agentOfHome, lost)[0] {
			t.Error("a subscription ends while the directory is unavailable")
		}
		if n := rtetest.MustReadMetric(t, registry, "rte_authz_recheck_undecided"); n != 1 {
			t.Errorf("%v are undecided", n)
		}
		time.Sleep(10 * time.Minute)
		// After 1, 2, 4, 8 and 16 seconds and then each 30, and up to a quarter more.
		if n := attempts.Load(); n < 18 || n > 24 {
			t.Errorf("%d attempts in ten minutes", n)
		}
		d.away.Store(false)
		time.Sleep(40 * time.Second)
		if ended.Load() != 1 {
			t.Errorf("ended %d times", ended.Load())
		}
		before := attempts.Load()
		time.Sleep(time.Hour)
		if attempts.Load() != before {
			t.Error("a decided change is checked again")
		}
		if n := rtetest.MustReadMetric(t, registry, "rte_authz_recheck_repeated_total"); n != float64(before) {
			t.Errorf("%v are counted, want %d", n, before)
		}

		// The next outage begins with small pauses again, and may concern more entities than a change can list.
		d.away.Store(true)
		many := make([]events.Topic, 10_001)
		for i := range many {
			many[i] = events.Topic{Organization: home, Entity: events.NewID(), Type: status}
		}
		gate.Recheck(t.Context(), agentOfHome, many)
		if n := rtetest.MustReadMetric(t, registry, "rte_authz_recheck_undecided"); n != 10_000 {
			t.Errorf("%v are undecided", n)
		}
		if n := rtetest.MustReadMetric(t, registry, "rte_authz_recheck_undecided_capacity"); n != 10_000 {
			t.Errorf("the capacity is %v", n)
		}
		d.away.Store(false)
		time.Sleep(2 * time.Second)
		if diff := cmp.Diff(&authz.Change{All: true}, last.Load()); diff != "" || attempts.Load() != before+1 {
			t.Errorf("%d attempts: %s", attempts.Load()-before, diff)
		}
		if n := rtetest.MustReadMetric(t, registry, "rte_authz_recheck_undecided"); n != 0 {
			t.Errorf("%v are undecided after the attempt", n)
		}

		// The outage after that concerns one entity again.
		d.away.Store(true)
		gate.Recheck(t.Context(), agentOfHome, lost)
		d.away.Store(false)
		time.Sleep(time.Minute)
		diff := cmp.Diff(&authz.Change{Entities: []events.ID{queue}}, last.Load())
		if diff != "" || attempts.Load() != before+2 {
			t.Errorf("%d attempts: %s", attempts.Load()-before, diff)
		}
		if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
			t.Error(problems, err)
		}
	})
}

func TestAuthorize_policyFileIsWatched(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	rtetest.MustReplaceFile(t, path, authz.DefaultPolicy)
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
		stop := rtetest.Start(t, gate.Run)
		want := func(refusal string) {
			t.Helper()
			request := authz.Request{EntityID: ownQueue.String(), EventName: "QueueStatus"}
			if decision := gate.Authorize(t.Context(), agentOfHome, []authz.Request{request})[0]; decision.Refusal != refusal {
				t.Errorf("got %q, want %q", decision.Refusal, refusal)
			}
		}
		want("")
		rtetest.MustReplaceFile(t, path, []byte(`{rules: [{roles: [agent], relation: own, events: ["*"]}]}`))
		time.Sleep(3 * time.Second)
		want(authz.RefusedUnauthorized)
		rtetest.MustReplaceFile(t, path, []byte(`{rules: [{roles: [agent], relation: member, events: [QueueStatu]}]}`))
		time.Sleep(3 * time.Second)
		want(authz.RefusedUnauthorized)
		rtetest.MustReplaceFile(t, path, authz.DefaultPolicy)
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

func TestRun_withoutFiles(t *testing.T) {
	rtetest.Start(t, mustGate(t, directory.FromClaims{}).Run)()
}
