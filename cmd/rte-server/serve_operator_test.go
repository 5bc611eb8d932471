package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// refusedClose is how the end of a connection begins whose client must not come back.
const refusedClose = `{"type":7,"error":"Connection closed with an error."}`

func TestServe_Revoke(t *testing.T) {
	p := start(t, serveArgs()...)
	negotiate := func(token string) int {
		status, _ := ask(t, "POST", p.clients+"/rte/negotiate?negotiateVersion=1", "Authorization", "Bearer "+token)
		return status
	}
	first, second := mustServiceToken(t, testOrganization), mustServiceToken(t, testOrganization)
	one, another := p.connect(first, ""), p.connect(second, "")
	one.subscribe(testUser, "UserStatus")

	status, answer := p.post("/api/revoke", `{"jti":"`+claimOf(t, first, "jti")+`"}`)
	if status != 200 || !strings.Contains(answer, `"closed":1`) || !strings.Contains(answer, `"until":`) {
		t.Fatalf("revoked: %d %s", status, answer)
	}
	one.expect(refusedClose)
	if status := negotiate(first); status != 401 {
		t.Errorf("negotiate with the revoked token: %d", status)
	}
	if status := negotiate(second); status != 200 {
		t.Errorf("negotiate with another token of the user: %d", status)
	}

	later := time.Now().Unix() + 1
	status, answer = p.post("/api/revoke", fmt.Sprintf(`{"user":"%s","before":%d,"until":%d}`, testUser, later, later+3600))
	if status != 200 || !strings.Contains(answer, `"closed":1`) {
		t.Fatalf("revoked: %d %s", status, answer)
	}
	another.expect(refusedClose)
	if status := negotiate(second); status != 401 {
		t.Errorf("negotiate with a token that was issued before: %d", status)
	}
	if n := p.metric(`rte_hub_sessions_closed_total{reason="revoked"}`); n != "2" {
		t.Errorf("%s sessions are counted", n)
	}

	log := p.output.text()
	for _, want := range []string{`"msg":"connected"`, `"msg":"revoked"`, `"user":"` + testUser + `"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the audit log has no %s", want)
		}
	}
	if strings.Contains(log, "eyJ") {
		t.Error("a token is in the log")
	}
}

func TestServe_RevokeMistakes(t *testing.T) {
	p := start(t, serveArgs()...)
	for body, want := range map[string]string{
		`nonsense`:                              "not a JSON object",
		`{}`:                                    "want either jti or user",
		`{"jti":"x","user":"` + testUser + `"}`: "want either jti or user",
		`{"user":"somebody"}`:                   "not a GUID",
		`{"user":"` + testUser + `","befor":1700000000}`: `unknown member \"befor\"`,
		`{"user":"` + testUser + `","until":1}`:          "is over",
		`{"user":"` + testUser + `","before":1e15}`:      "out of range",
	} {
		if status, answer := p.post("/api/revoke", body); status != 400 || !strings.Contains(answer, want) {
			t.Errorf("%s: %d %s, want %s", body, status, answer, want)
		}
	}
}

// TestServe_AuditIsBounded checks that connections in masses cannot fill the log, and that what is left out is counted.
func TestServe_AuditIsBounded(t *testing.T) {
	p := start(t, serveArgs("--log.audit_rate=1")...)
	token := mustServiceToken(t, testOrganization)
	eventually(t, "an entry that is left out", func() bool {
		p.connect(token, "")
		n := p.metric("rte_audit_entries_dropped_total")
		return n != "" && n != "0"
	})
}
