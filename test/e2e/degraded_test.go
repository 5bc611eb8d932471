package e2e

import (
	"testing"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// A node that alone had lost its way to Redis received clients, and as the emptiest node all of them. HAProxy sends new
// clients to the other node, and to any while both have lost it.
func TestHAProxy_prefersReadyNodes(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	var nodes [2]*rtetest.Server
	var ways [2]*rtetest.Proxy
	for i := range nodes {
		ways[i] = rtetest.MustStartProxy(t, redis.Addr)
		nodes[i] = startServer(t, rtetest.Settings{
			"redis.addresses": ways[i].Addr, "redis.probe_interval": "100ms", "redis.probe_timeout": "500ms",
		})
	}
	cut := func(i int) {
		ways[i].Refuse(true)
		ways[i].Cut()
		nodes[i].WaitFor("the node to be degraded", func() bool { return nodes[i].Readiness().State == "degraded" })
	}
	haproxy := rtetest.MustStartHAProxy(t, "leastconn", nodes[:]...)
	come := func() {
		t.Helper()
		c := connect(t, clientOptions{URL: haproxy.HubURL, Token: mustTokenOfAgent(t, authz.RoleAgent)})
		var results []subscriptionResult
		if c.mustInvoke(&results, "Subscribe", subscribeTo(ourAgent, "UserStatus")); !results[0].Subscribed {
			t.Errorf("Subscribe: %+v", results)
		}
	}
	cut(0)
	haproxy.WaitFor(1)
	for range 4 {
		come()
	}
	if n := nodes[0].Metric("rte_hub_sessions_open"); n != 0 {
		t.Errorf("the degraded node has %v sessions", n)
	}
	cut(1)
	haproxy.WaitFor(0)
	come()

	ways[0].Refuse(false)
	haproxy.WaitFor(1)
	come()
}
