package main

import (
	"net/http"
	"strings"
	"testing"
)

// TestServe_enforcesQuotas checks that the configured quotas reach the parts that enforce them.
func TestServe_enforcesQuotas(t *testing.T) {
	const other = "d9eeb030-ff4b-ea11-ac9c-00155d4fdcf3"
	p := start(t, serveArgs("--quotas.connections=1", "--quotas.subscriptions=1", "--quotas.events=1")...)
	token := mustServiceToken(t, testOrganization)
	c := p.connect(token, "")
	if answer := c.subscribe(testUser, "UserStatus"); !strings.Contains(answer, `"subscribed":true`) {
		t.Error(answer)
	}
	if answer := c.subscribe(other, "UserStatus"); !strings.Contains(answer, `"message":"Subscription limit reached"`) {
		t.Error(answer)
	}
	request, err := http.NewRequestWithContext(
		t.Context(), http.MethodPost, p.clients+"/rte/negotiate?negotiateVersion=1", nil,
	)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	if status, answer := p.do(request); status != http.StatusServiceUnavailable {
		t.Errorf("a second connection: %d %s", status, answer)
	}

	if status, answer := p.post(
		"/api/publish", eventLine(1)+"\n"+eventLine(2)+"\n"+eventLine(3)+"\n",
	); status != http.StatusOK {
		t.Errorf("published: %d %s", status, answer)
	}
	c.expect(`"id":"0d000000-0000-4000-8000-000000000001"`)
	c.expect(`"id":"0d000000-0000-4000-8000-000000000003"`) // 3 replaced 2, which was held back
	if n := p.metric(`rte_fanout_quota_events_total{outcome="superseded"}`); n != "1" {
		t.Errorf("%s states were superseded", n)
	}
}
