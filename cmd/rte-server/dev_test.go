package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestDev_servesDemo(t *testing.T) {
	p := start(t, "dev", "--rate=200")

	status, body := fetch(t, "GET", p.clients+"/token/me/rte/")
	var token struct{ WssEndpoint, Token string }
	if err := json.Unmarshal([]byte(body), &token); err != nil || status != 200 {
		t.Fatalf("token: %d %s", status, body)
	}
	if want := "ws" + strings.TrimPrefix(p.clients, "http") + "/rte"; token.WssEndpoint != want {
		t.Errorf("WssEndpoint %s, want %s", token.WssEndpoint, want)
	}

	status, body = fetch(t, "GET", p.clients+"/demo/entities")
	var entities []struct{ EntityID, EntityType, Name string }
	if err := json.Unmarshal([]byte(body), &entities); err != nil || status != 200 || len(entities) < 25 {
		t.Fatalf("entities: %d %s", status, body)
	}

	status, body = fetch(t, "GET", p.clients+"/")
	if status != 200 || !strings.Contains(body, "<title>") {
		t.Errorf("page: %d %s", status, body)
	}

	// The simulated events reach a client that only has what the server sent it.
	args := []string{"tap", "--url", token.WssEndpoint, "--token", token.Token, "--count=200"}
	for _, e := range entities {
		args = append(args, e.EntityID)
	}
	kinds := map[string]bool{}
	for line := range strings.Lines(mustCommand(t, "", args...)) {
		var message struct{ Data struct{ EventType string } }
		if err := json.Unmarshal([]byte(line), &message); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		kinds[message.Data.EventType] = true
	}
	if len(kinds) < 5 {
		t.Errorf("only events of the kinds %v", kinds)
	}

	for _, line := range []string{"wallboard   " + p.clients + "/", "token       " + p.clients + "/token/me/rte/"} {
		if !strings.Contains(p.output.text(), line) {
			t.Errorf("does not print %q", line)
		}
	}
	if strings.Contains(p.output.text(), "eyJ") {
		t.Error("a token is in the output")
	}
}

func TestDev_warnsIfOthersCanReachIt(t *testing.T) {
	const warning = "anyone who can reach this address gets a token"
	local := start(t, "dev")
	local.stop()
	if strings.Contains(local.output.text(), warning) {
		t.Error("warns of a loopback address")
	}
	if open := start(t, "dev", "--listen=:0"); !strings.Contains(open.output.text(), warning) {
		t.Error("does not warn")
	}
}
