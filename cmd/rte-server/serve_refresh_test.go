package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// TestServe_refreshesThroughAnotherNode lets a client replace its token on a node that does not have its connection.
func TestServe_refreshesThroughAnotherNode(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	args := serveArgs(
		"--redis.addresses="+redis.Addr, "--auth.refresh", "--auth.close_at_expiry", "--auth.expiry_grace=0s",
		"--auth.leeway=0s",
	)
	owner, other := start(t, args...), start(t, args...)
	defer owner.stop() // before the goroutines of the other are checked
	token := func(user, ttl string) string {
		t.Helper()
		return strings.TrimSpace(mustCommand(t, "", "token", "--user", user, "--org", testOrganization, "--ttl="+ttl))
	}
	short, long := token(testUser, "4s"), token(testUser, "1h")
	// Negotiated with one node, connected to the other.
	status, answer := fetch(
		t, http.MethodPost, other.clients+"/rte/negotiate?negotiateVersion=1", "Authorization", "Bearer "+short,
	)
	var negotiated struct {
		ConnectionToken      string
		TokenLifetimeSeconds int
	}
	if err := json.Unmarshal(
		[]byte(answer), &negotiated,
	); err != nil || status != 200 || negotiated.TokenLifetimeSeconds < 1 || negotiated.TokenLifetimeSeconds > 4 {
		t.Fatalf("negotiate: %d %s", status, answer)
	}
	refreshed, left := owner.connect(short, "?id="+negotiated.ConnectionToken), owner.connect(short, "")
	eventually(t, "both sessions", func() bool { return owner.metric("rte_hub_sessions_open") == "2" })

	refresh := func(token string) (int, string) {
		t.Helper()
		return fetch(t, http.MethodPost, other.clients+"/rte/refresh",
			"Authorization", "Bearer "+token, "X-SignalR-Connection-Token", negotiated.ConnectionToken)
	}
	if status, answer := refresh(
		token("bb9730c4-ce86-e611-80c9-00505689257e", "1h"),
	); status != 403 || answer != `{"error":"user_changed"}` {
		t.Errorf("with the token of another user: %d %s", status, answer)
	}
	eventually(t, "a refreshed token", func() bool { // the nodes may not have subscribed to each other's messages yet
		status, answer := refresh(long)
		return status == 200 && strings.HasPrefix(answer, `{"tokenLifetimeSeconds":35`) &&
			strings.Contains(owner.output.text(), `"msg":"refreshed"`)
	})
	left.expect(`{"type":7,"allowReconnect":true}`)
	if answer := refreshed.subscribe(testUser, "UserStatus"); !strings.Contains(answer, `"subscribed":true`) {
		t.Errorf("after the first token has expired: %s", answer)
	}
	if status, answer := refresh(short); status != 401 || answer != "" {
		t.Errorf("with an expired token: %d %s", status, answer)
	}
	eventually(
		t, "the new token in the audit log",
		func() bool { return strings.Contains(owner.output.text(), `"msg":"refreshed"`) },
	)
	if log := owner.output.text(); strings.Count(log, `"msg":"refreshed"`) != 1 ||
		!strings.Contains(log, `"jti":"`+claimOf(t, long, "jti")+`"`) {
		t.Error("the audit log does not report the new token once")
	}
	if strings.Contains(owner.output.text()+other.output.text(), "eyJ") {
		t.Error("a token is in the log")
	}
}

// TestServe_refreshesOnSingleNode lets a client replace its token on a single node without Redis.
func TestServe_refreshesOnSingleNode(t *testing.T) {
	p := start(t, serveArgs("--auth.refresh")...)
	token := mustServiceToken(t, testOrganization)
	_, answer := fetch(t, http.MethodPost, p.clients+"/rte/negotiate?negotiateVersion=1", "Authorization", "Bearer "+token)
	var negotiated struct{ ConnectionToken string }
	if err := json.Unmarshal([]byte(answer), &negotiated); err != nil {
		t.Fatal(err)
	}
	refresh := func() (status int) {
		status, _ = fetch(t, http.MethodPost, p.clients+"/rte/refresh",
			"Authorization", "Bearer "+token, "X-SignalR-Connection-Token", negotiated.ConnectionToken)
		return status
	}
	if status := refresh(); status != 200 {
		t.Errorf("before there is a connection: %d", status)
	}
	p.connect(token, "?id="+negotiated.ConnectionToken)
	if status := refresh(); status != 200 {
		t.Errorf("refresh: %d", status)
	}
}
