package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// post sends a request to the operator port of a node.
func post(t *testing.T, srv *rtetest.Server, path, body string) (status int, answer string) {
	t.Helper()
	response, err := httpClient.Post(srv.ConsoleURL+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// mustTokenWithID signs a token of ourAgent that can be revoked by its id.
func mustTokenWithID(t *testing.T, id string) string {
	t.Helper()
	return rtetest.MustSign(
		t, []byte(rtetest.Secret), `{"alg":"HS256","typ":"JWT"}`, payload(`{"sub"`, `{"jti":"`+id+`","sub"`),
	)
}

// promise is the maximum time until a revocation is in force on every node: a second, and the rest for a busy machine.
const promise = 15 * time.Second

// TestRevoke revokes on one node and checks the other, which may be cut off from Redis.
func TestRevoke(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	proxies := [2]*rtetest.Proxy{}
	nodes := [2]*rtetest.Server{}
	for i := range nodes {
		proxies[i] = rtetest.MustStartProxy(t, redis.Addr)
		nodes[i] = startServer(t, rtetest.Settings{"redis.addresses": proxies[i].Addr})
	}
	cut := func(i int) {
		t.Helper()
		proxies[i].Refuse(true)
		proxies[i].Cut()
		nodes[i].WaitFor("the node to see that Redis is away", func() bool { return len(nodes[i].Readiness().Degraded) > 0 })
	}
	revoke := func(i int, body string, status int, nodesNotified string) {
		t.Helper()
		got, answer := post(t, nodes[i], "/api/revoke", body)
		if got != status || !strings.Contains(answer, `"nodes":"`+nodesNotified+`"`) {
			t.Fatalf("revoke %s: %d %s", body, got, answer)
		}
	}

	t.Run("on one node, gone on the other", func(t *testing.T) {
		token := mustTokenWithID(t, "one")
		c := connect(t, clientOptions{URL: nodes[1].HubURL, Token: token})
		other := connect(t, clientOptions{URL: nodes[1].HubURL, Token: mustTokenWithID(t, "other")})
		revoke(0, `{"jti":"one"}`, http.StatusOK, "all")
		revoked := time.Now()
		c.event("close")
		if took := time.Since(revoked); took > promise {
			t.Errorf("it took %s", took)
		}
		for i, node := range nodes {
			if status := request(t, node, false, token, true); status != http.StatusUnauthorized {
				t.Errorf("node %d negotiates: %d", i, status)
			}
		}
		var names []string
		other.mustInvoke(&names, "AvailableSubscriptions")
	})

	t.Run("while the other node is cut off, gone when it comes back", func(t *testing.T) {
		token := mustTokenWithID(t, "two")
		c := connect(t, clientOptions{URL: nodes[1].HubURL, Token: token})
		cut(1)
		revoke(0, fmt.Sprintf(`{"user":%q,"before":%d}`, ourAgent, time.Now().Unix()+1), http.StatusOK, "all")
		if status := request(t, nodes[1], false, token, true); status != http.StatusOK {
			t.Errorf("the node that is cut off negotiates: %d", status)
		}
		proxies[1].Refuse(false)
		c.event("close")
		if status := request(t, nodes[1], false, token, true); status != http.StatusUnauthorized {
			t.Errorf("the node that has come back negotiates: %d", status)
		}
	})

	t.Run("on a node that is cut off, gone elsewhere when it comes back", func(t *testing.T) {
		now := time.Now().Unix() + 1 // later than the revocation of the other test
		token := rtetest.MustSign(t, []byte(rtetest.Secret), `{"alg":"HS256","typ":"JWT"}`,
			payload(`{"sub"`, fmt.Sprintf(`{"jti":"three","iat":%d,"sub"`, now)))
		nodes[1].WaitFor(
			"the token to be valid", func() bool { return request(t, nodes[1], false, token, true) == http.StatusOK },
		)
		c := connect(t, clientOptions{URL: nodes[1].HubURL, Token: token})
		cut(0)
		revoke(0, `{"jti":"three"}`, http.StatusAccepted, "this")
		if status := request(t, nodes[0], false, token, true); status != http.StatusUnauthorized {
			t.Errorf("the node that revoked negotiates: %d", status)
		}
		proxies[0].Refuse(false)
		c.event("close")
		if n := nodes[0].Metric("rte_authz_revocations_unsaved"); n != 0 {
			t.Errorf("%v revocations wait", n)
		}
	})

	client := redis.Client()
	defer client.Close()
	t.Run("by a back end", func(t *testing.T) {
		token := rtetest.MustSign(t, []byte(rtetest.Secret), `{"alg":"HS256","typ":"JWT"}`,
			payload(`{"sub"`, fmt.Sprintf(`{"jti":"four","iat":%d,"sub"`, time.Now().Unix()+1)))
		c := connect(t, clientOptions{URL: nodes[1].HubURL, Token: token})
		for _, garbage := range []string{"", "{", "[]", "null", `{"jti":7}`, strings.Repeat("x", 1<<20)} {
			if err := client.Publish(t.Context(), "rte:c:revoke", garbage).Err(); err != nil {
				t.Fatal(err)
			}
		}
		until := time.Now().Add(time.Hour).Unix()
		err := client.ZAdd(t.Context(), "rte:c:revoked", goredis.Z{Score: float64(until), Member: `{"jti":"four"}`}).Err()
		if err == nil {
			err = client.Publish(t.Context(), "rte:c:revoke", fmt.Sprintf(`{"jti":"four","until":%d}`, until)).Err()
		}
		if err != nil {
			t.Fatal(err)
		}
		c.event("close")
		if n := nodes[1].Metric("rte_control_messages_total", `kind="revoke"`, `result="malformed"`); n != 6 {
			t.Errorf("%v messages were malformed, want 6", n)
		}
	})

	t.Run("before a node starts", func(t *testing.T) {
		late := startServer(t, rtetest.Settings{"redis.addresses": redis.Addr})
		for _, id := range []string{"one", "four"} {
			if status := request(t, late, false, mustTokenWithID(t, id), true); status != http.StatusUnauthorized {
				t.Errorf("negotiate with %s: %d", id, status)
			}
		}
	})
}

// TestDisconnect ends the connections of a user on all nodes by a request to one node.
func TestDisconnect(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	nodes := [2]*rtetest.Server{}
	for i := range nodes {
		nodes[i] = startServer(t, rtetest.Settings{"redis.addresses": redis.Addr})
	}
	c := connect(t, clientOptions{URL: nodes[1].HubURL, Token: mustTokenWithID(t, "one"), Reconnect: true})
	if status, answer := post(t, nodes[0], "/api/disconnect?nodes=all&user="+ourAgent, ""); status != http.StatusOK ||
		!strings.Contains(answer, `"closed":1,"nodes":"all","byNode":[`) {
		t.Fatalf("%d %s", status, answer)
	}
	c.event("reconnecting")
	c.event("reconnected")
	redis.Kill()
	if status, answer := post(
		t, nodes[0], "/api/disconnect?nodes=all&user="+ourAgent, "",
	); status != http.StatusAccepted ||
		!strings.Contains(answer, `"nodes":"this"`) {
		t.Errorf("without Redis: %d %s", status, answer)
	}
}
