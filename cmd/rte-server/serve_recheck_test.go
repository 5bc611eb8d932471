package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// testQueue is a queue of testOrganization.
const testQueue = "c9eeb030-ff4b-ea11-ac9c-00155d4fdcf3"

// queueOf returns a directory with testUser and testQueue. member is the only member of the queue; empty: none.
func queueOf(member string) string {
	return "entities:\n" +
		"- {id: " + testUser + ", kind: User, organization: " + testOrganization + "}\n" +
		"- {id: " + testQueue + ", kind: Queue, organization: " + testOrganization + ", members: [" + member + "]}\n"
}

// mustReplace replaces a file in one step.
func mustReplace(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// TestServe_endsSubscriptionsNoLongerAllowed changes the directory and the policy during subscriptions. Those that are
// no longer allowed end.
func TestServe_endsSubscriptionsNoLongerAllowed(t *testing.T) {
	dir := t.TempDir()
	directory, policy := filepath.Join(dir, "directory.yaml"), filepath.Join(dir, "policy.yaml")
	mustReplace(t, directory, queueOf(testUser))
	builtIn, err := os.ReadFile("../../internal/authz/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	mustReplace(t, policy, string(builtIn))

	p := start(t, serveArgs("--directory.kind=file", "--directory.file="+directory, "--policy.file="+policy)...)
	token := strings.TrimSpace(mustCommand(t, "", "token", "--user", testUser, "--org", testOrganization))
	c, withNotices := p.connect(token, ""), p.connect(token, "?features=notices")
	withNotices.subscribe(testQueue, "QueueStatus")
	for entity, event := range map[string]string{testQueue: "QueueStatus", testUser: "UserStatus"} {
		if answer := c.subscribe(entity, event); !strings.Contains(answer, `"subscribed":true`) {
			t.Fatal(answer)
		}
	}

	mustReplace(t, directory, queueOf(""))
	eventually(t, "the end of the member's subscription", func() bool {
		return p.metric("rte_hub_subscriptions_active") == "1"
	})
	withNotices.expect(
		`{"type":1,"target":"SubscriptionsEnded","arguments":[{"code":"unauthorized","total":1,"subscriptions":[{"id":"`,
	)
	if answer := c.subscribe(testQueue, "QueueStatus"); !strings.Contains(answer, `"message":"Unauthorized"`) {
		t.Error(answer)
	}
	mustReplace(t, policy, strings.ReplaceAll(string(builtIn), "agent", "supervisor"))
	eventually(t, "the end of every subscription of agents", func() bool {
		return p.metric("rte_hub_subscriptions_active") == "0"
	})
	if n := p.metric("rte_hub_subscriptions_ended_total"); n != "3" {
		t.Errorf("%s ends are counted", n)
	}
}
