package clients

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// cancelVersion is the release of Microsoft's .NET client that sends a CancelInvocation for an ordinary call.
const cancelVersion = "11.0.0"

// An application cancels a call by its CancellationToken, while the node waits for the directory. Nothing is left of
// the call, and the connection goes on.
func TestCancel_dotnet(t *testing.T) {
	program := rtetest.FindDotnet(t, "canceled calls of the .NET client")
	if program == "" {
		return
	}
	s := newStage(t)
	requested, known := make(chan struct{}), make(chan struct{})
	directory := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var query struct{ IDs []string }
		if err := json.NewDecoder(r.Body).Decode(&query); err != nil || !strings.HasPrefix(query.IDs[0], agentID(0)[:24]) {
			fmt.Fprint(w, `{"entities":[]}`) // the node tries the directory when it starts
			return
		}
		select {
		case requested <- struct{}{}:
		case <-t.Context().Done():
		}
		select {
		case <-known:
		case <-t.Context().Done():
		}
		fmt.Fprintf(w, `{"entities":[{"id":%q,"kind":"User","organization":%q,"name":"Agent"}]}`, query.IDs[0], organization)
	}))
	t.Cleanup(directory.Close)
	node := s.startNode(t, rtetest.Settings{
		"directory.kind": "http", "directory.file": "", "directory.url": directory.URL,
		"directory.timeout": rtetest.Patience.String(), "timeouts.invocation": rtetest.Patience.String(),
	})
	c := startClient(t, library{name: "dotnet " + cancelVersion, command: dotnet(program, cancelVersion)}, s)
	c.waitReady(t)
	for i, protocol := range []string{"json", "messagepack"} {
		conn := c.mustOpen(t, options{url: node.HubURL, token: s.token, protocol: protocol})
		agent, call := s.agent(t), int64(i+1)
		failed := make(chan error, 1)
		go func() {
			_, err := c.do(map[string]any{
				"do": "invoke", "connection": conn.number, "target": "Subscribe",
				"args": []any{[]any{item(agent, eventName)}}, "call": call,
			})
			failed <- err
		}()
		<-requested
		if _, err := c.do(map[string]any{"do": "cancel", "connection": conn.number, "call": call}); err != nil {
			t.Fatal(err)
		}
		if err := <-failed; err == nil {
			t.Error("the canceled call has a result")
		}
		active := make(chan string, 1)
		go func() {
			result, err := conn.invoke("ActiveSubscriptions")
			active <- fmt.Sprint(string(result), err)
		}()
		node.WaitFor("the next call to arrive, behind the cancellation", func() bool {
			return node.Metric("rte_transport_received_messages_total", `type="invocation"`) == float64(2*call)
		})
		known <- struct{}{}
		node.WaitFor("the call to end", func() bool {
			return node.Metric("rte_hub_invocations_total", `method="Subscribe"`, `outcome="canceled"`) == float64(call) &&
				node.Metric("rte_hub_pool_busy") == 0
		})
		if got := <-active; got != "[]<nil>" {
			t.Errorf("%s: the canceled call subscribed to %s", protocol, got)
		}
	}
}
