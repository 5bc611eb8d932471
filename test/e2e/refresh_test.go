package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// refresh sends a new token for the client's connection to the address of the connection.
func (c *client) refresh(token string) (status int, problem string, lifetime int) {
	c.t.Helper()
	answer, err := c.do(map[string]any{"do": "refresh", "token": token})
	if err != nil {
		c.t.Fatalf("refresh: %v", err)
	}
	var withNotices struct {
		Status               int
		Error                string
		TokenLifetimeSeconds int
	}
	if err := json.Unmarshal(answer, &withNotices); err != nil {
		c.t.Fatalf("refresh answered %s: %v", answer, err)
	}
	return withNotices.Status, withNotices.Error, withNotices.TokenLifetimeSeconds
}

// TestRefresh refreshes tokens through a load balancer that sends each request to the next node.
func TestRefresh(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	nodes := [2]*rtetest.Server{}
	for i := range nodes {
		nodes[i] = startServer(t, rtetest.Settings{
			"redis.addresses": redis.Addr, "auth.refresh": "true", "auth.close_at_expiry": "true", "auth.expiry_grace": "0s",
		})
	}
	balancer := rtetest.MustStartHAProxy(t, "roundrobin", nodes[:]...)
	agent := authz.Claims{
		User: rtetest.MustID(t, ourAgent), Organization: rtetest.MustID(t, ourOrganization), Role: authz.RoleAgent,
	}
	const ttl = 10 * time.Second
	short := rtetest.MustTokenFor(t, agent, ttl)
	expires := time.Now().Add(ttl)
	supervisor := agent
	supervisor.Role = authz.RoleSupervisor
	kept := connect(
		t, clientOptions{URL: balancer.HubURL, Features: "notices", Token: rtetest.MustTokenFor(t, supervisor, ttl)},
	)
	left := connect(t, clientOptions{URL: balancer.HubURL, Token: short})
	var results []subscriptionResult
	kept.mustInvoke(&results, "Subscribe", subscribeTo(ourAgent, "UserStatus"))
	kept.mustInvoke(&results, "Subscribe", subscribeTo(sampleID, "UserCallInArrived"))
	if !results[0].Subscribed {
		t.Fatalf("Subscribe: %+v", results)
	}

	stranger := agent
	stranger.User = rtetest.MustID(t, sampleID)
	for range nodes { // on its own node and on the other
		if status, problem, _ := kept.refresh(rtetest.MustToken(t, stranger)); status != 403 || problem != "user_changed" {
			t.Errorf("with the token of another user: %d %s", status, problem)
		}
		if status, problem, lifetime := kept.refresh(rtetest.MustToken(t, agent)); status != 200 || lifetime < 3000 {
			t.Errorf("with a new token: %d %s, good for %d s", status, problem, lifetime)
		}
		if status, problem, _ := kept.refresh(
			rtetest.MustTokenFor(t, agent, -time.Hour),
		); status != 401 || problem != "" {
			t.Errorf("with an expired token: %d %s", status, problem)
		}
	}
	for i, node := range nodes {
		if n := node.Metric(
			"rte_transport_requests_refused_total", `request="refresh"`, `reason="other_user"`,
		); n+node.Metric("rte_transport_refreshes_total") == 0 {
			t.Errorf("node %d had no part in it", i)
		}
	}
	if time.Now().After(expires) {
		t.Fatal("the machine is too slow for this test")
	}

	// The new token belongs to an agent, who may not subscribe to colleagues' calls.
	ended := kept.event("SubscriptionsEnded")
	if len(ended.Args) != 1 ||
		!strings.Contains(string(ended.Args[0]), `{"code":"unauthorized","total":1,"subscriptions":[{`) ||
		!strings.Contains(string(ended.Args[0]), `"entityId":"`+sampleID+`"`) {
		t.Errorf("the client was withNotices %s", ended.Args)
	}
	left.event("close") // its token has expired, and so has the first token of the other client
	publish(t, redis, lane(ourOrganization), userStatus(ourOrganization, ourAgent, 8))
	if got := kept.next().Data["activeQueues"]; got != 8.0 {
		t.Errorf("received event %v, want 8", got)
	}
	select {
	case l := <-kept.events:
		t.Errorf("the client withNotices %q", l.Event)
	default:
	}
}
