package e2e

import (
	"encoding/json"
	"testing"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// TestResync stops Redis while events are published without a journal. The node closes no connection while Redis is
// away. When Redis is back, it sends clients with notices the subscriptions to fetch again, and closes the other
// clients so that they reconnect.
func TestResync(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	proxy := rtetest.MustStartProxy(t, redis.Addr)
	srv := startServer(t, rtetest.Settings{
		"redis.addresses": proxy.Addr, "resync.window": "2s", "resync.close_window": "2s",
	})
	token := mustTokenOfAgent(t, authz.RoleAgent)
	stock := connect(t, clientOptions{URL: srv.HubURL, Token: token, Reconnect: true})
	withNotices := connect(t, clientOptions{URL: srv.HubURL, Features: "notices", Token: token, Reconnect: true})
	idle := connect(t, clientOptions{URL: srv.HubURL, Token: token, Reconnect: true})
	for _, c := range []*client{stock, withNotices} {
		var results []subscriptionResult
		c.mustInvoke(&results, "Subscribe", subscribeTo(ourAgent, "UserStatus"))
	}
	var active []map[string]any
	withNotices.mustInvoke(&active, "ActiveSubscriptions")
	publish(t, redis, lane(ourOrganization), userStatus(ourOrganization, ourAgent, 1))
	for _, c := range []*client{stock, withNotices} {
		if got := c.next().Data["activeQueues"]; got != 1.0 {
			t.Fatalf("received event %v, want 1", got)
		}
	}

	proxy.Refuse(true)
	proxy.Cut()
	srv.WaitFor("/readyz to report that Redis is away", func() bool { return len(srv.Readiness().Degraded) == 1 })
	publish(t, redis, lane(ourOrganization), userStatus(ourOrganization, ourAgent, 2))
	var names []string
	for _, c := range []*client{stock, withNotices, idle} {
		c.mustInvoke(&names, "AvailableSubscriptions")
	}
	proxy.Refuse(false)

	notice := withNotices.event("Resync")
	var resync struct {
		OrganizationID string `json:"organizationId"`
		Reason         string
		From, To       string
		Total          int
		Subscriptions  []map[string]any
	}
	if len(notice.Args) != 1 || json.Unmarshal(notice.Args[0], &resync) != nil {
		t.Fatalf("notice is %s", notice.Args)
	}
	if resync.OrganizationID != ourOrganization || resync.Reason != "outage" || resync.From == "" ||
		resync.To <= resync.From ||
		resync.Total != 1 || len(resync.Subscriptions) != 1 || resync.Subscriptions[0]["id"] != active[0]["id"] {
		t.Errorf("notice is %s", notice.Args[0])
	}
	stock.event("reconnecting")
	stock.event("reconnected")
	srv.WaitFor("everybody to have been withNotices", func() bool { return srv.Metric("rte_hub_resync_waiting") == 0 })
	for how, want := range map[string]float64{"notice": 1, "close": 1, "gone": 0} {
		if n := srv.Metric("rte_hub_resync_clients_total", `how="`+how+`"`); n != want {
			t.Errorf("%v clients were withNotices by %s, want %v", n, how, want)
		}
	}

	// The other clients keep their connections, and events arrive on all of them.
	idle.mustInvoke(&names, "AvailableSubscriptions")
	var results []subscriptionResult
	stock.mustInvoke(&results, "Subscribe", subscribeTo(ourAgent, "UserStatus"))
	publish(t, redis, lane(ourOrganization), userStatus(ourOrganization, ourAgent, 3))
	for _, c := range []*client{stock, withNotices} {
		if got := c.next().Data["activeQueues"]; got != 3.0 {
			t.Errorf("received event %v, want 3", got)
		}
	}
	for name, c := range map[string]*client{"with notices": withNotices, "without subscriptions": idle} {
		select {
		case l := <-c.events:
			t.Errorf("the client %s withNotices %q", name, l.Event)
		default:
		}
	}
}
