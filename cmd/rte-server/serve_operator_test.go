package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/console"
)

// refusedClose is the beginning of a close message that forbids the client to reconnect.
const refusedClose = `{"type":7,"error":"Connection closed with an error."}`

func TestServe_revokesTokens(t *testing.T) {
	p := start(t, serveArgs()...)
	negotiate := func(token string) int {
		status, _ := fetch(t, "POST", p.clients+"/rte/negotiate?negotiateVersion=1", "Authorization", "Bearer "+token)
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
	status, answer = p.post(
		"/api/revoke", fmt.Sprintf(`{"user":"%s","before":%d,"until":%d}`, testUser, later, later+3600),
	)
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

	for _, want := range []string{
		`"msg":"connected"`, `"msg":"revoked"`, `"msg":"refused"`, `"reason":"revoked"`, `"user":"` + testUser + `"`,
	} {
		eventually(t, want+" in the audit log", func() bool { return strings.Contains(p.output.text(), want) })
	}
	if strings.Contains(p.output.text(), "eyJ") {
		t.Error("a token is in the log")
	}
}

func TestServe_refusesBadRevocations(t *testing.T) {
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

// TestServe_boundsAudit checks that a mass of connections cannot fill the log, and that dropped entries are counted.
func TestServe_boundsAudit(t *testing.T) {
	p := start(t, serveArgs("--log.audit_rate=1")...)
	token := mustServiceToken(t, testOrganization)
	eventually(t, "an entry that is left out", func() bool {
		p.connect(token, "")
		n := p.metric("rte_audit_entries_dropped_total")
		return n != "" && n != "0"
	})
}

// otherOrganization is a foreign organization for testUser.
const otherOrganization = "39f6e823-b484-e611-80c9-00505689257e"

func TestServe_explainsDecisions(t *testing.T) {
	p := start(t, serveArgs()...)
	p.connect(mustServiceToken(t, testOrganization), "").subscribe(testUser, "UserStatus") // the session is there

	colleague := "cc9730c4-ce86-e611-80c9-00505689257e"
	for name, test := range map[string]struct {
		query  string
		status int
		want   string
	}{
		"allowed to a connection": {
			"user=" + testUser + "&entity=" + colleague + "&event=UserStatus", 200,
			`"role":"service","source":"connection","allowed":true`,
		},
		"granted by its token": {
			"user=" + testUser + "&entity=" + colleague + "&event=UserAlert", 200, `"allowed":true`,
		},
		"another role": {
			"user=" + testUser + "&organization=" + otherOrganization + "&role=agent&entity=" + colleague + "&event=UserAlert",
			200, `"message":"Unauthorized"`,
		},
		"invalid entity": {
			"user=" + testUser + "&entity=x&event=UserStatus", 200, `"message":"Invalid entity id"`,
		},
		"user without a connection": {
			"user=" + colleague + "&entity=" + colleague + "&event=UserStatus", 400, "say of which organization",
		},
		"no user":                      {"entity=" + colleague + "&event=UserStatus", 400, "user: must be a GUID"},
		"unknown role":                 {"user=" + testUser + "&role=king", 400, "role: must be"},
		"organization that is no GUID": {"user=" + testUser + "&organization=x", 400, "organization: must be a GUID"},
		"misspelt":                     {"usr=" + testUser, 400, "unknown parameter"},
		"twice":                        {"user=" + testUser + "&user=" + colleague, 400, "user: is there twice"},
	} {
		t.Run(name, func(t *testing.T) {
			if status, body := fetch(
				t, "GET", p.operators+"/api/explain?"+test.query,
			); status != test.status || !strings.Contains(body, test.want) {
				t.Errorf("%d %s, want %d and %s", status, body, test.status, test.want)
			}
		})
	}

	explained := mustCommand(
		t, "", "explain", "--url", p.operators, "--user", testUser, "--entity", colleague, "--event", "UserAlert",
	)
	for _, want := range []string{"service of " + testOrganization + " by its connection", "yes  policy", "\nallowed\n"} {
		if !strings.Contains(explained, want) {
			t.Errorf("no %q in\n%s", want, explained)
		}
	}
	refused, stderr, err := command(
		t, "", "explain", "--url", p.operators, "--user", testUser, "--org", testOrganization, "--entity", colleague,
		"--event", "UserAlert",
	)
	if exitCode(err) != 1 || stderr != "" || !strings.Contains(refused, "no   policy") ||
		!strings.Contains(refused, "\nrefused: Unauthorized\n") {
		t.Errorf("ended with %v: %s\n%s", err, stderr, refused)
	}
	asJSON := mustCommand(t, "", "explain", "--url", p.operators, "--user", testUser, "--entity", colleague,
		"--event", "UserAlert", "--output=json")
	var explanation console.Explanation
	if err := json.Unmarshal([]byte(asJSON), &explanation); err != nil || !explanation.Allowed {
		t.Errorf("%v: %s", err, asJSON)
	}
	if _, stderr, err := command(
		t, "", "explain", "--url", p.operators,
	); exitCode(err) != 2 || !strings.Contains(stderr, "user: must be a GUID") {
		t.Errorf("ended with %v: %s", err, stderr)
	}
}

func TestServe_listsAndDisconnects(t *testing.T) {
	p := start(t, serveArgs()...)
	one, another := p.connect(
		mustServiceToken(t, testOrganization), "?features=notices",
	), p.connect(mustServiceToken(t, otherOrganization), "")
	one.subscribe(testUser, "UserStatus")
	list := func(query string) console.ConnectionList {
		t.Helper()
		_, body := fetch(t, "GET", p.operators+"/api/connections?"+query)
		var l console.ConnectionList
		if err := json.Unmarshal([]byte(body), &l); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		return l
	}
	// they begin after the answer to the handshake
	eventually(t, "both sessions", func() bool { return list("").Open == 2 })
	all := list("user=" + testUser)
	if all.Open != 2 || all.Matching != 2 || len(all.Connections) != 2 {
		t.Errorf("%+v", all)
	}
	if some := list("limit=1"); some.Matching != 2 || len(some.Connections) != 1 {
		t.Errorf("%+v", some)
	}
	ours := list("organization=" + testOrganization)
	if ours.Open != 2 || len(ours.Connections) != 1 {
		t.Fatalf("%+v", ours)
	}
	c := ours.Connections[0]
	if c.User != testUser || c.Organization != testOrganization || c.Role != "service" || c.Protocol != "json" ||
		strings.Join(c.Features, "") != "notices" ||
		c.Subscriptions != 1 || c.TokenID == "" || time.Since(c.Since) > time.Minute {
		t.Errorf("%+v", c)
	}

	for query, want := range map[string]string{
		"": "either", "user=x": "GUID", "connection=x&user=" + testUser: "either", "all=true": "unknown",
	} {
		if status, answer := p.post("/api/disconnect?"+query, ""); status != 400 || !strings.Contains(answer, want) {
			t.Errorf("disconnect?%s: %d %s", query, status, answer)
		}
	}
	if _, answer := p.post("/api/disconnect?connection="+c.ID, ""); !strings.Contains(answer, `"closed":1`) {
		t.Errorf("disconnected: %s", answer)
	}
	one.expect(`{"type":7,"allowReconnect":true}`)
	if _, answer := p.post("/api/disconnect?user="+testUser, ""); !strings.Contains(answer, `"closed":1`) {
		t.Errorf("disconnected: %s", answer)
	}
	another.expect(`{"type":7,"allowReconnect":true}`)
}

// TestServe_closesAtExpiry checks that auth.close_at_expiry closes a connection when its token has expired.
func TestServe_closesAtExpiry(t *testing.T) {
	token := strings.TrimSpace(mustCommand(t, "", "token", "--user", testUser, "--org", testOrganization, "--ttl=2s"))
	p := start(t, serveArgs("--auth.close_at_expiry", "--auth.expiry_grace=0s", "--auth.leeway=0s")...)
	p.connect(token, "").expect(`{"type":7,"allowReconnect":true}`)
	eventually(
		t, "one session is counted",
		func() bool { return p.metric(`rte_hub_sessions_closed_total{reason="expired"}`) == "1" },
	)
	if status, _ := fetch(t, "POST", p.clients+"/rte/negotiate", "Authorization", "Bearer "+token); status != 401 {
		t.Errorf("negotiate with the expired token: %d", status)
	}
}
