package e2e

import (
	"testing"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// TestStop stops a node with clients. The cleanup of startServer checks that it stopped cleanly.
func TestStop(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	srv := startServer(t, rtetest.Settings{"redis.addresses": redis.Addr})
	token := mustTokenOfAgent(t, authz.RoleAgent)
	plain := connect(t, clientOptions{URL: srv.HubURL, Token: token})
	reconnecting := connect(t, clientOptions{URL: srv.HubURL, Token: token, Reconnect: true})

	srv.Stop()
	if got := plain.event("close"); got.Error != "" {
		t.Errorf("the client was closed with %q, want no error", got.Error)
	}
	reconnecting.event("reconnecting")

	if n := publish(t, redis, lane(ourOrganization), userStatus(ourOrganization, ourAgent, 1)); n != 0 {
		t.Errorf("%d nodes still listen", n)
	}
}

// TestWithoutRedis runs a single node, which logs that it is one.
func TestWithoutRedis(t *testing.T) {
	srv := startServer(t, nil)
	srv.WaitFor("the log line of a single node", func() bool { return srv.Logs("single node") })
	c := connect(t, clientOptions{URL: srv.HubURL, Token: mustTokenOfAgent(t, authz.RoleAgent)})
	var results []subscriptionResult
	c.mustInvoke(&results, "Subscribe", subscribeTo(ourAgent, "UserStatus"))
	if !results[0].Subscribed {
		t.Errorf("Subscribe: %+v", results)
	}
}
