package console_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// post sends a request without a body to the first node and returns the status and the answer.
func (sc *scene) post(method, path, token string) (int, string) {
	sc.t.Helper()
	ctx, cancel := context.WithTimeout(sc.t.Context(), rtetest.Patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, sc.nodes[0].ConsoleURL+path, http.NoBody)
	if err != nil {
		sc.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		sc.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		sc.t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// TestNodeAction lets one node act on another. A program that can publish in Redis could send the message of an action
// again. The node must not carry it out again.
func TestNodeAction(t *testing.T) {
	sc := newScene(t, 2, nil)
	var overview struct {
		Nodes []struct {
			Node      string
			Departure struct{ Action string }
		}
	}
	action := func() string {
		sc.get("/api/overview?nodes=all", &overview)
		return overview.Nodes[1].Departure.Action
	}
	if got := action(); got != "none" {
		t.Fatalf("the node begins with %s", got)
	}
	other := overview.Nodes[1].Node

	listener := sc.redis.Client().PSubscribe(t.Context(), "*")
	defer listener.Close()
	if _, err := listener.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	drain := "/api/drain?over=1h&node=" + other
	if status, body := sc.post(http.MethodPost, drain, readToken); status != http.StatusForbidden {
		t.Errorf("a reader got %d %s", status, body)
	}
	nowhere := "/api/drain?node=nowhere"
	if status, body := sc.post(http.MethodPost, nowhere, operatorToken); status != http.StatusBadRequest {
		t.Errorf("an unknown node: %d %s", status, body)
	}
	if status, body := sc.post(http.MethodPost, drain+"&node="+other, operatorToken); status != http.StatusBadRequest {
		t.Errorf("a node twice: %d %s", status, body)
	}
	if status, body := sc.post(http.MethodPost, drain, operatorToken); status != http.StatusOK || action() != "drain" {
		t.Fatalf("drain: %d %s, the node does %s", status, body, action())
	}
	sc.waitFor("the audit log of the node that acts", func() bool {
		return sc.nodes[1].Logs("operator of another node") && !sc.nodes[0].Logs("operator of another node")
	})
	var channel, message string
	for channel == "" {
		m, err := listener.ReceiveMessage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains([]byte(m.Payload), []byte(`"name":"drain"`)) {
			channel, message = m.Channel, m.Payload
		}
	}
	if status, body := sc.post(http.MethodDelete, "/api/drain?node="+other, operatorToken); status != http.StatusOK {
		t.Fatalf("cancel: %d %s", status, body)
	}
	if err := sc.redis.Client().Publish(t.Context(), channel, message).Err(); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(time.Second); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		if got := action(); got != "none" {
			t.Fatalf("the message that came again began a %s", got)
		}
	}
}
