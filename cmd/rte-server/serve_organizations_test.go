package main

import (
	"strings"
	"testing"
)

// TestServe_showsOrganizations lets one organization receive events while another one only has a connection.
func TestServe_showsOrganizations(t *testing.T) {
	p := start(t, serveArgs()...)
	busy := p.connect(testToken(t, testOrganization), "")
	busy.subscribe(testUser, "UserStatus")
	idle := p.connect(testToken(t, otherOrganization), "")
	idle.subscribe(testUser, "UserStatus")
	event := `{"RootEntityType":"Organization","RootEntityId":"` + testOrganization +
		`","EventType":"UserStatus","EntityType":"User","EntityId":"` + testUser + `","MessageTTLSeconds":60}`
	if status, answer := p.post("/api/publish", event); status != 200 {
		t.Fatalf("publish: %d %s", status, answer)
	}
	busy.expect(`"eventType":"UserStatus"`)
	of := func(organization, metric, value string) string {
		return "rte_organization_" + metric + `{organization="` + organization + `"} ` + value + "\n"
	}
	want := []string{
		of(testOrganization, "connections", "1"), of(testOrganization, "subscriptions", "1"),
		of(testOrganization, "events_total", "1"), of(testOrganization, "deliveries_total", "1"),
		of(otherOrganization, "connections", "1"), of(otherOrganization, "events_total", "0"), "rte_organizations 2\n",
	}
	eventually(t, "the metrics of both organizations", func() bool {
		_, metrics := fetch(t, "GET", p.operators+"/metrics/organizations")
		for _, line := range want {
			if !strings.Contains(metrics, line) {
				return false
			}
		}
		return true
	})
	if _, metrics := fetch(t, "GET", p.operators+"/metrics"); strings.Contains(metrics, testOrganization) {
		t.Error("/metrics names an organization without a loss and without a slow client")
	}
}
