package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// publishJournaled publishes events with the program, which keeps the last state in Redis.
func publishJournaled(t *testing.T, r *rtetest.Redis, lines ...[]byte) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), programs.MustBuild(t, "node"), "publish", "-", "--redis.addresses", r.Addr)
	cmd.Env = rtetest.Unconfigured(os.Environ())
	cmd.Stdin = bytes.NewReader(bytes.Join(lines, []byte("\n")))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("publish: %v\n%s", err, out)
	}
}

// firstOf subscribes to the status of our agent and returns the first message. The library may deliver the message
// before the answer, although the answer arrived first.
func firstOf(t *testing.T, c *client) float64 {
	t.Helper()
	answers := make(chan json.RawMessage, 1)
	go func() {
		answer, err := c.invoke("Subscribe", subscribeTo(ourAgent, "UserStatus"))
		if err != nil {
			t.Errorf("Subscribe: %v", err)
		}
		answers <- answer
	}()
	m := c.next()
	var results []subscriptionResult
	if err := json.Unmarshal(<-answers, &results); err != nil || len(results) != 1 || !results[0].Subscribed {
		t.Fatalf("Subscribe answered %+v: %v", results, err)
	}
	var active []struct{ ID string }
	c.mustInvoke(&active, "ActiveSubscriptions")
	if len(active) != 1 || active[0].ID != m.Subscription["id"] {
		t.Errorf("the snapshot is of subscription %v, the active ones are %v", m.Subscription["id"], active)
	}
	number, _ := m.Data["activeQueues"].(float64)
	return number
}

// TestSnapshot publishes states before clients subscribe. Clients with snapshots receive the last state, from the
// memory of their node or from Redis. Other clients receive later events only.
func TestSnapshot(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	srv := startServer(t, rtetest.Settings{"redis.addresses": redis.Addr})
	token := mustTokenOfAgent(t, authz.RoleAgent)
	requesting := func(srv *rtetest.Server) *client {
		return connect(t, clientOptions{URL: srv.HubURL + "?features=snapshot", Token: token})
	}
	publishJournaled(t, redis, userStatus(ourOrganization, ourAgent, 1), userStatus(ourOrganization, ourAgent, 2))

	first := requesting(srv)
	if got := firstOf(t, first); got != 2 {
		t.Errorf("snapshot of Redis is %v, want 2", got)
	}
	stock := connect(t, clientOptions{URL: srv.HubURL, Token: token})
	var results []subscriptionResult
	stock.mustInvoke(&results, "Subscribe", subscribeTo(ourAgent, "UserStatus"))
	first.mustInvoke(&results, "Subscribe", subscribeTo(ourAgent, "UserStatus")) // the client already has this state

	publish(t, redis, lane(ourOrganization), userStatus(ourOrganization, ourAgent, 3)) // Redis keeps no state of it
	for name, c := range map[string]*client{"requesting": first, "stock": stock} {
		if got := c.next().Data["activeQueues"]; got != 3.0 {
			t.Errorf("the %s client received %v, want 3", name, got)
		}
	}
	if got := firstOf(t, requesting(srv)); got != 3 {
		t.Errorf("snapshot of the node is %v, want 3", got)
	}

	publishJournaled(t, redis, userStatus(ourOrganization, ourAgent, 4))
	if got := firstOf(t, requesting(startServer(t, rtetest.Settings{"redis.addresses": redis.Addr}))); got != 4 {
		t.Errorf("snapshot of Redis, at a new node, is %v, want 4", got)
	}
}
