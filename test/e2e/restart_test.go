package e2e

import (
	"testing"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// A stock client with 2,000 entities subscribes again after a restart of the server. Its Subscribe was above
// limits.message_bytes: the connection closed, might reconnect, and did so 853 times in 5 s.
func TestRestart_ofAServerWithALargeSubscriber(t *testing.T) {
	srv := startServer(t, rtetest.Settings{"directory.kind": "claims"})
	c := connect(t, clientOptions{URL: srv.HubURL, Token: mustTokenOfAgent(t, authz.RoleSupervisor), Reconnect: true})
	items := make([]entitySubscription, 2000)
	for i := range items {
		items[i] = entitySubscription{events.ID{1, byte(i), byte(i >> 8)}.String(), "UserCallAvailableForMonitoring"}
	}
	subscribe := func() {
		t.Helper()
		var results []subscriptionResult
		c.mustInvoke(&results, "Subscribe", items)
		granted := 0
		for _, r := range results {
			if r.Subscribed {
				granted++
			}
		}
		if granted != len(items) {
			t.Errorf("%d of %d items are granted, the first result is %+v", granted, len(items), results[0])
		}
	}
	subscribe()
	srv.Stop()
	srv.Start()
	c.event("reconnecting")
	c.event("reconnected")
	subscribe()
	if n := srv.Metric("rte_transport_handshakes_total"); n != 1 {
		t.Errorf("the client connected %v times after the restart", n)
	}
	if n := srv.Metric("rte_transport_repeatable_failures_total"); n != 0 {
		t.Errorf("%v connections failed", n)
	}
}
