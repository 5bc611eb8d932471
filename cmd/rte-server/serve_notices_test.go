package main

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/hub"
)

// TestServe_explainsTrace follows a refusal from the trace id of the client to its reason.
func TestServe_explainsTrace(t *testing.T) {
	p := start(t, serveArgs()...)
	token := strings.TrimSpace(mustCommand(t, "", "token", "--user", testUser, "--org", testOrganization))
	const colleague = "cc9730c4-ce86-e611-80c9-00505689257e"

	answer := p.connect(token, "").subscribe(colleague, "UserAlert")
	if want := `"result":[{"subscribed":false,"message":"Unauthorized","entityId":"` + colleague +
		`","eventName":"useralert"}]`; !strings.Contains(answer, want) {
		t.Errorf("a stock client got %s", answer)
	}
	answer = p.connect(token, "?features=notices,unheard-of").subscribe(colleague, "UserAlert")
	var completion struct{ Result []hub.SubscriptionResult }
	if err := json.Unmarshal(
		[]byte(answer), &completion,
	); err != nil || len(completion.Result) != 1 || completion.Result[0].Code != "unauthorized" {
		t.Fatalf("a client with notices got %s", answer)
	}

	look := func(query string) (status int, body string) {
		t.Helper()
		return fetch(t, "GET", p.operators+"/api/explain?"+query)
	}
	status, body := look("trace=" + completion.Result[0].TraceID)
	for _, want := range []string{
		`"user":"` + testUser + `"`, `"role":"agent"`, `"refused":1`, `"eventName":"UserAlert","code":"unauthorized"`,
		`{"step":"policy","passed":false,"reason":"no rule allows it to the role \"agent\"`,
	} {
		if status != 200 || !strings.Contains(body, want) {
			t.Errorf("%d, no %s in %s", status, want, body)
		}
	}
	explained, _, err := command(t, "", "explain", "--url", p.operators, "--trace", completion.Result[0].TraceID)
	if exitCode(err) != 1 {
		t.Errorf("ended with %v", err)
	}
	for _, want := range []string{
		testUser + ", agent of ", "1 refused", `"UserAlert" of "` + colleague + `"`, "  no   policy ",
		"  refused: Unauthorized (unauthorized)\n",
	} {
		if !strings.Contains(explained, want) {
			t.Errorf("no %q in\n%s", want, explained)
		}
	}
	for query, want := range map[string]string{
		"trace=" + url.QueryEscape("' or 1"):                          "not known to this node",
		"trace=" + completion.Result[0].TraceID + "&user=" + testUser: "unknown parameter",
	} {
		if status, body := look(query); status != 400 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
}

// The server divided the calls of clients by limits that no client could know: an agent learned of limits.items when
// items were refused, and of limits.message_bytes when its connection was closed.
func TestServe_statesLimits(t *testing.T) {
	p := start(t, serveArgs("--limits.items=240", "--limits.message_bytes=32KiB", "--limits.agent_subscriptions=1000",
		"--limits.call_rate=7")...)
	agent := strings.TrimSpace(mustCommand(t, "", "token", "--user", testUser, "--org", testOrganization))
	for token, subscriptions := range map[string]string{agent: "1000", mustServiceToken(t, testOrganization): "10000"} {
		c := p.connect(token, "?features=limits")
		want := `{"type":1,"target":"Limits","arguments":[{"items":240,"subscriptions":` + subscriptions +
			`,"messageBytes":32768,"callsPerSecond":7}]}`
		if got := c.next(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got := c.subscribe(testUser, "UserStatus"); !strings.Contains(got, `"type":3`) {
			t.Errorf("got %s", got)
		}
		c = p.connect(token, "?features=notices,snapshot")
		if got := c.subscribe(testUser, "UserStatus"); !strings.Contains(got, `"type":3`) {
			t.Errorf("without the feature: got %s", got)
		}
	}
}
