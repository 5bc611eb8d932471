package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// TestServe_connectionTokenWorksOnceOverTwoNodes uses one connection token at two nodes of one Redis: it opens one
// connection.
func TestServe_connectionTokenWorksOnceOverTwoNodes(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	one := start(t, serveArgs("--redis.addresses="+redis.Addr)...)
	other := start(t, serveArgs("--redis.addresses="+redis.Addr)...)
	for _, p := range []*running{one, other} {
		eventually(t, "the node to be connected", func() bool {
			_, body := fetch(t, http.MethodGet, p.operators+"/readyz")
			return !strings.Contains(body, "degraded")
		})
	}
	token := mustServiceToken(t, testOrganization)
	upgrade := func(p *running, id string) int {
		ws, response, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(p.clients, "http")+"/rte?id="+
			url.QueryEscape(id), &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}})
		if err == nil {
			t.Cleanup(func() { _ = ws.CloseNow() })
		} else if response == nil {
			t.Fatal(err)
		}
		return response.StatusCode
	}
	negotiate := func(p *running) string {
		_, body := fetch(t, http.MethodPost, p.clients+"/rte/negotiate?negotiateVersion=1", "Authorization", "Bearer "+token)
		var answer struct{ ConnectionToken string }
		if err := json.Unmarshal([]byte(body), &answer); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		return answer.ConnectionToken
	}
	id := negotiate(one)
	if status := upgrade(one, id); status != http.StatusSwitchingProtocols {
		t.Fatalf("the first node answered %d", status)
	}
	eventually(t, "the other node to know", func() bool {
		return other.metric(`rte_control_messages_total{kind="tokens",result="ok"}`) != "0"
	})
	if status := upgrade(other, id); status != http.StatusNotFound {
		t.Errorf("the other node answered %d", status)
	}
	// At once: one of both, or the second one ends.
	id = negotiate(one)
	upgrade(one, id)
	if upgrade(other, id) == http.StatusSwitchingProtocols {
		eventually(t, "the younger connection to end", func() bool {
			return other.metric("rte_transport_duplicates_total") == "1"
		})
	}
}
