package hub_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/hub"
)

// notForAgents is the Rechecker that allows entity 1 to all roles and the others to all but agents. As a directory that
// does not answer, it ends nothing after the end of its context.
type notForAgents struct{}

func (notForAgents) Recheck(ctx context.Context, claims *authz.Claims, topics []events.Topic) []bool {
	allowed := make([]bool, len(topics))
	for i, topic := range topics {
		allowed[i] = topic.Entity == entity(1) || claims.Role != authz.RoleAgent || ctx.Err() != nil
	}
	return allowed
}

func newClaims() *authz.Claims {
	return &authz.Claims{Organization: organization, Role: authz.RoleAgent, TokenID: "new"}
}

func TestRefresh_replacesTheClaims(t *testing.T) {
	o := hub.Options{Authorization: hub.Authorization{
		Rechecker: notForAgents{}, Revoked: func(claims *authz.Claims) bool { return claims.TokenID == "revoked" },
	}}
	run(t, o, func(t *testing.T, r *rig) {
		c := r.connect(t)
		before := c.Claims()
		c.invoke(t, "1", "Subscribe", items(1, 2))
		refuse := func(claims authz.Claims, want error) {
			t.Helper()
			if _, err := c.Refresh(&claims); !errors.Is(err, want) || c.Claims() != before {
				t.Errorf("refreshed with %+v: %v", claims, err)
			}
		}
		refuse(authz.Claims{User: entity(9), Organization: organization}, hub.ErrOtherUser)
		refuse(authz.Claims{Organization: entity(9), Organizations: []events.ID{organization}}, hub.ErrOtherUser)
		refuse(authz.Claims{Organization: organization, TokenID: "revoked"}, hub.ErrRevoked)

		for _, want := range []bool{true, false} { // the second time nothing changes
			if changed, err := c.Refresh(newClaims()); changed != want || err != nil {
				t.Fatalf("changed: %v, %v", changed, err)
			}
		}
		request, end := context.WithCancel(t.Context())
		end() // the recheck goes on after the request that brought the claims
		c.Recheck(request)
		if left := c.active(t); len(left) != 1 || c.Info().Claims.TokenID != "new" {
			t.Errorf("subscriptions left: %+v of %+v", left, c.Info())
		}
		c.Close(hub.CloseGone)
		before = c.Claims()
		refuse(authz.Claims{Organization: organization}, hub.ErrClosed)
	})
}

// A Subscribe that the earlier claims decided, and that ends after the recheck, must not leave what only they allowed.
func TestRefresh_reachesASubscribeUnderWay(t *testing.T) {
	run(t, hub.Options{Authorization: hub.Authorization{Rechecker: notForAgents{}}}, func(t *testing.T, r *rig) {
		release := make(chan struct{})
		call, giveUp := context.WithCancel(t.Context())
		r.lanes.acquire = func(context.Context, []events.Topic) []error {
			<-release
			giveUp() // too late for the call, and no reason to leave out the recheck
			return nil
		}
		c := r.connect(t)
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.Invoke(call, invocation("1", "Subscribe", items(1, 2)))
		}()
		synctest.Wait()
		if changed, err := c.Refresh(newClaims()); !changed || err != nil {
			t.Fatalf("changed: %v, %v", changed, err)
		}
		c.Recheck(t.Context())
		time.Sleep(time.Second)
		close(release)
		<-done
		synctest.Wait()
		c.lines()
		if left := c.active(t); len(left) != 1 {
			t.Errorf("subscriptions left: %+v", left)
		}
	})
}

// The revocation of the earlier token must not miss the session while a refresh with a revoked token is being refused.
func TestRefresh_doesNotHideTheEarlierClaims(t *testing.T) {
	var r *rig
	oldRevoked := false
	o := hub.Options{Authorization: hub.Authorization{Revoked: func(claims *authz.Claims) bool {
		if claims.TokenID == "old" {
			return oldRevoked
		}
		oldRevoked = true
		r.CloseIf(hub.CloseRevoked, func(s *hub.Session) bool { return s.Claims().TokenID == "old" })
		return true
	}}}
	run(t, o, func(t *testing.T, theRig *rig) {
		r = theRig
		s, err := r.Open(&conn{}, &authz.Claims{Organization: organization, TokenID: "old"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Refresh(newClaims()); !errors.Is(err, hub.ErrRevoked) {
			t.Errorf("refreshed: %v", err)
		}
		if s.Close(hub.CloseGone) {
			t.Error("the session is open after the revocation of its token")
		}
	})
}

// letOthersRun lets the other goroutines run. Fake time stands still while one of them waits for a mutex.
func letOthersRun() {
	for range 10_000 {
		runtime.Gosched()
	}
}

// A recheck that ended while a refresh was being refused left the session to that refresh, which rechecked nothing: the
// client kept what the policy no longer allowed.
func TestRefresh_thatIsRefusedHidesNoRecheck(t *testing.T) {
	j := &slowRechecker{}
	refreshing := make(chan struct{}, 1)
	o := hub.Options{Authorization: hub.Authorization{Rechecker: j, Revoked: func(claims *authz.Claims) bool {
		if claims.TokenID == "new" { // the session has the new claims for a moment
			refreshing <- struct{}{}
			letOthersRun()
			return true
		}
		return false
	}}}
	run(t, o, func(t *testing.T, r *rig) {
		c := r.connect(t)
		c.invoke(t, "1", "Subscribe", items(1))
		j.meanwhile = func() {
			go func() {
				if _, err := c.Refresh(newClaims()); !errors.Is(err, hub.ErrRevoked) {
					t.Errorf("refreshed: %v", err)
				}
			}()
			<-refreshing
		}
		r.Recheck(authz.Change{All: true})
		synctest.Wait()
		if n := c.Info().Subscriptions; n != 0 {
			t.Errorf("%d subscriptions are left that are not allowed", n)
		}
	})
}

// A Subscribe that was decided while a refresh was being refused used the claims of the revoked token.
func TestRefresh_thatIsRefusedDecidesNothing(t *testing.T) {
	var goOn chan struct{}
	decided := map[string]string{} // token ids, by the entity of the call
	decide := func(ctx context.Context, claims *authz.Claims, requests []authz.Request) []authz.Decision {
		decided[requests[0].EntityID] = claims.TokenID
		if requests[0].EntityID == entity(1).String() { // this call has the only place
			<-goOn
		}
		return allowAll(ctx, claims, requests)
	}
	o := hub.Options{Pool: 1, Authorization: hub.Authorization{
		Authorizer: authorizer(decide),
		Revoked: func(claims *authz.Claims) bool {
			if claims.TokenID == "new" { // the session has the new claims for a moment, and its call gets the place
				close(goOn)
				letOthersRun()
				return true
			}
			return false
		},
	}}
	run(t, o, func(t *testing.T, r *rig) {
		goOn = make(chan struct{})
		first, second := r.connect(t), r.connect(t)
		go first.Invoke(t.Context(), invocation("1", "Subscribe", items(1)))
		synctest.Wait()
		go second.Invoke(t.Context(), invocation("1", "Subscribe", items(2)))
		synctest.Wait()
		if _, err := second.Refresh(newClaims()); !errors.Is(err, hub.ErrRevoked) {
			t.Errorf("refreshed: %v", err)
		}
		synctest.Wait()
		if id, ok := decided[entity(2).String()]; !ok || id != "" {
			t.Errorf("the claims of token %q decided the call: %v", id, ok)
		}
	})
}
