package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// entitySubscription is an item of Subscribe and Unsubscribe.
type entitySubscription struct {
	EntityID  string `json:"EntityId"`
	EventName string `json:"EventName"`
}

// subscribeTo returns the items for events of one entity.
func subscribeTo(entity string, names ...string) []entitySubscription {
	var items []entitySubscription
	for _, name := range names {
		items = append(items, entitySubscription{entity, name})
	}
	return items
}

// subscriptionResult is the result for an item, as the JavaScript client returns it.
type subscriptionResult struct {
	Subscribed bool    `json:"subscribed"`
	Message    *string `json:"message"`
	EntityID   string  `json:"entityId"`
	EventName  string  `json:"eventName"`
}

// refused returns the result of a refused item.
func refused(message, entity, name string) subscriptionResult {
	return subscriptionResult{Message: &message, EntityID: entity, EventName: name}
}

// The organization of these tests, as in its directory file.
const (
	ourOrganization   = "29f6e823-b484-e611-80c9-00505689257e"
	ourAgent          = "aa9730c4-ce86-e611-80c9-00505689257e"
	ourQueue          = "c9eeb030-ff4b-ea11-ac9c-00155d4fdcf3"
	ourCallList       = "ca11eeb0-ff4b-ea11-ac9c-00155d4fdcf3"
	theirOrganization = "39f6e823-b484-e611-80c9-00505689257e"
	theirUser         = "a1eeb030-ff4b-ea11-ac9c-00155d4fdcf3"
	unknownEntity     = "deadbeef-ff4b-ea11-ac9c-00155d4fdcf3"
)

// mustWriteDirectory writes the directory file and returns its path.
func mustWriteDirectory(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "directory.yaml")
	text := fmt.Sprintf(`
entities:
  - {id: %[1]s, kind: User, organization: %[4]s, name: An agent}
  - {id: %[2]s, kind: Queue, organization: %[4]s, name: Sales, members: [%[1]s]}
  - {id: %[3]s, kind: CallList, organization: %[4]s, name: Call back, members: [%[1]s]}
  - {id: %[5]s, kind: User, organization: %[6]s, name: Somebody else's agent}
`, ourAgent, ourQueue, ourCallList, ourOrganization, theirUser, theirOrganization)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// mustTokenOfAgent signs a token of ourAgent.
func mustTokenOfAgent(t *testing.T, role authz.Role) string {
	t.Helper()
	return rtetest.MustToken(t, authz.Claims{
		User: rtetest.MustID(t, ourAgent), Organization: rtetest.MustID(t, ourOrganization), Role: role,
	})
}

// userStatus returns a published UserStatus of a user.
func userStatus(organization, user string, activeQueues int) []byte {
	return fmt.Appendf(nil, `{"RootEntityType":"Organization","RootEntityId":%q,"EventType":"UserStatus",`+
		`"EntityType":"User","EntityId":%q,"MessageTTLSeconds":60,"UserId":%[2]q,"OrganizationId":%[1]q,`+
		`"ActiveQueues":%[3]d}`, organization, user, activeQueues)
}

func TestSubscribe(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	srv := startServer(t, rtetest.Settings{
		"redis.addresses": redis.Addr, "directory.kind": "file", "directory.file": mustWriteDirectory(t),
	})
	c := connect(t, clientOptions{URL: srv.HubURL, Token: mustTokenOfAgent(t, authz.RoleAgent)})

	t.Run("answers each item with what became of it", func(t *testing.T) {
		var got []subscriptionResult
		c.mustInvoke(&got, "Subscribe", []entitySubscription{
			{ourQueue, "QueueStatus"},
			{theirUser, "UserStatus"},
			{unknownEntity, "UserStatus"},
			{ourAgent, "userstatus"},
			{ourAgent, "UserCallIncoming"},
			{"not a guid", "UserStatus"},
			{ourAgent, "NoSuchEvent"},
			{ourQueue, "UserStatus"},
			{ourCallList, "CallbackChanged"},
		})
		want := []subscriptionResult{
			{Subscribed: true, EntityID: ourQueue, EventName: "queuestatus"},
			refused("Unauthorized", theirUser, "userstatus"),
			refused("Unauthorized", unknownEntity, "userstatus"),
			{Subscribed: true, EntityID: ourAgent, EventName: "userstatus"},
			{Subscribed: true, EntityID: ourAgent, EventName: "usercallincoming"},
			refused("Invalid entity id", "not a guid", "userstatus"),
			refused("Unknown event", ourAgent, "nosuchevent"),
			refused("Event is not available for this entity", ourQueue, "userstatus"),
			{Subscribed: true, EntityID: ourCallList, EventName: "callbackchanged"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})

	t.Run("twice is one subscription with one id", func(t *testing.T) {
		var before, after []map[string]any
		c.mustInvoke(&before, "ActiveSubscriptions")
		var results []subscriptionResult
		c.mustInvoke(&results, "Subscribe", subscribeTo(ourAgent, "UserStatus"))
		c.mustInvoke(&after, "ActiveSubscriptions")
		if len(before) != 4 {
			t.Errorf("%d active subscriptions, want 4", len(before))
		}
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("(-before +after):\n%s", diff)
		}
	})

	t.Run("lets in no event of another organization", func(t *testing.T) {
		publish(t, redis, lane(theirOrganization), userStatus(theirOrganization, ourAgent, 1))
		publish(t, redis, lane(ourOrganization), userStatus(theirOrganization, ourAgent, 2))
		publish(t, redis, lane(ourOrganization), userStatus(ourOrganization, ourAgent, 3))
		if got := c.next(); got.Data["activeQueues"] != 3.0 {
			t.Errorf("received %v, want the event of the caller's own organization", got.Data)
		}
	})

	t.Run("ends with Unsubscribe", func(t *testing.T) {
		var got []subscriptionResult
		c.mustInvoke(&got, "Unsubscribe", append(subscribeTo(ourAgent, "UserStatus"), subscribeTo(ourAgent, "UserStatus")...))
		want := []subscriptionResult{
			{Subscribed: true, EntityID: ourAgent, EventName: "userstatus"},
			refused("Not subscribed", ourAgent, "userstatus"),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})

	t.Run("leaves nothing behind when the client goes", func(t *testing.T) {
		c.stop()
		c.event("close")
		srv.WaitFor("the session to end", func() bool { return srv.Metric("rte_hub_sessions_open") == 0 })
		for _, left := range []string{"rte_hub_subscriptions_active", "rte_transport_connections"} {
			if n := srv.Metric(left); n != 0 {
				t.Errorf("%s is %v, want 0", left, n)
			}
		}
	})
}

// TestPublishedSamples runs the calls of the published JavaScript samples.
func TestPublishedSamples(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	srv := startServer(t, rtetest.Settings{
		"redis.addresses": redis.Addr, "directory.kind": "file", "directory.file": mustWriteDirectory(t),
	})
	tokens := serveToken(t, srv.HubURL, mustTokenOfAgent(t, authz.RoleAgent))
	cmd := nodeCommand(t, "published.mjs", tokens, ourAgent, ourQueue)
	output := startScript(t, cmd)
	if got := output.line(); got != "subscribed" {
		t.Fatalf("the script printed %q, want %q", got, "subscribed")
	}
	publish(t, redis, lane(ourOrganization), userStatus(ourOrganization, ourAgent, 2))
	publish(t, redis, lane(ourOrganization), fmt.Appendf(nil,
		`{"OrganizationId":%q,"EventType":"QueueStatus","EntityType":"Queue","EntityId":%q,"MessageTTLSeconds":60}`,
		ourOrganization, ourQueue))

	var got struct {
		Subscribe, Unsubscribe                        []subscriptionResult
		AvailableSubscriptions                        []string
		ActiveSubscriptions, ActiveSubscriptionsAfter []map[string]any
		UnsubscribeAll                                bool
		Messages                                      []message
	}
	if err := json.Unmarshal([]byte(output.line()), &got); err != nil {
		t.Fatal(err)
	}
	results := []subscriptionResult{
		{Subscribed: true, EntityID: ourAgent, EventName: "userstatus"},
		{Subscribed: true, EntityID: ourQueue, EventName: "queuestatus"},
	}
	if diff := cmp.Diff(results, got.Subscribe); diff != "" {
		t.Errorf("Subscribe (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(results, got.Unsubscribe); diff != "" {
		t.Errorf("Unsubscribe (-want +got):\n%s", diff)
	}
	if len(got.AvailableSubscriptions) != 31 {
		t.Errorf("AvailableSubscriptions named %d events, want 31", len(got.AvailableSubscriptions))
	}
	if len(got.ActiveSubscriptions) != 2 || len(got.ActiveSubscriptionsAfter) != 0 || !got.UnsubscribeAll {
		t.Errorf("got %+v", got)
	}
	if len(got.Messages) != 2 {
		t.Errorf("%d messages arrived, want 2", len(got.Messages))
	}
}
