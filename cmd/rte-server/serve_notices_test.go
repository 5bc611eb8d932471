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
	explained := mustCommand(t, "", "explain", "--url", p.operators, "--trace", completion.Result[0].TraceID)
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
