package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// negotiate requests a connection token from a node.
func negotiate(t *testing.T, srv *rtetest.Server, token string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(
		t.Context(), http.MethodPost, srv.HubURL+"/negotiate?negotiateVersion=1", http.NoBody,
	)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := httpClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct{ ConnectionToken string }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.ConnectionToken == "" {
		t.Fatalf("negotiate: %s, %v", response.Status, err)
	}
	return answer.ConnectionToken
}

// TestTwoNodes runs two nodes with one Redis, like a deployment.
func TestTwoNodes(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	nodes := [2]*rtetest.Server{}
	for i := range nodes {
		nodes[i] = startServer(t, rtetest.Settings{"redis.addresses": redis.Addr})
	}
	token := mustTokenOfAgent(t, authz.RoleAgent)

	t.Run("connect on one with what the other negotiated", func(t *testing.T) {
		for i, node := range nodes {
			other := nodes[1-i]
			id := negotiate(t, node, token)
			c := connect(t, clientOptions{URL: other.HubURL + "?id=" + id, Token: token, SkipNegotiation: true})
			var names []string
			c.mustInvoke(&names, "AvailableSubscriptions")
		}
	})

	t.Run("an event published once arrives once at the clients of both", func(t *testing.T) {
		var clients []*client
		for _, node := range nodes {
			for range 2 {
				c := connect(t, clientOptions{URL: node.HubURL, Token: token})
				var results []subscriptionResult
				c.mustInvoke(&results, "Subscribe", subscribeTo(ourAgent, "UserStatus"))
				if !results[0].Subscribed {
					t.Fatalf("Subscribe: %+v", results)
				}
				clients = append(clients, c)
			}
		}
		const events = 20
		for i := range events {
			publish(t, redis, lane(ourOrganization), userStatus(ourOrganization, ourAgent, i))
		}
		// In order and without a gap: a duplicate event would take the place of the next one.
		for n, c := range clients {
			for i := range events {
				if got := c.next().Data["activeQueues"]; got != float64(i) {
					t.Fatalf("client %d received event %v, want %d", n, got, i)
				}
			}
		}
	})
}

// TestLoadBalancers puts each load balancer of deploy/, with TLS and without sticky sessions, in front of two nodes. A
// token of nearly 16 KiB has to pass. A node that stops sends its clients to the other one.
func TestLoadBalancers(t *testing.T) {
	for _, name := range []string{"haproxy", "nginx", "caddy"} {
		t.Run(name, func(t *testing.T) {
			redis := rtetest.MustStartRedis(t)
			settings := rtetest.Settings{"redis.addresses": redis.Addr}
			if name == "haproxy" {
				settings["shutdown.delay"] = "3s" // its probes need time to notice that a node stops
			}
			nodes := [2]*rtetest.Server{startServer(t, settings), startServer(t, settings)}
			hubURL, token := mustStartBalancer(t, name, nodes[:]...), mustLargeToken(t, 15<<10)
			var clients []*client
			for range 4 {
				c := connect(t, clientOptions{URL: hubURL, Token: token, Reconnect: true})
				var results []subscriptionResult
				c.mustInvoke(&results, "Subscribe", subscribeTo(ourAgent, "UserStatus"))
				clients = append(clients, c)
			}
			for _, node := range nodes {
				if n := node.Metric("rte_hub_sessions_open"); n != 2 {
					t.Errorf("a node has %v sessions, want 2 of 4", n)
				}
			}
			publish(t, redis, lane(ourOrganization), userStatus(ourOrganization, ourAgent, 7))
			for _, c := range clients {
				if got := c.next().Data["activeQueues"]; got != 7.0 {
					t.Errorf("received event %v, want 7", got)
				}
			}
			nodes[0].Stop()
			nodes[1].WaitFor("all clients to reconnect", func() bool { return nodes[1].Metric("rte_hub_sessions_open") == 4 })
		})
	}
}

// mustStartBalancer starts a load balancer of deploy/ in front of nodes and returns the URL of the hub behind it.
func mustStartBalancer(t *testing.T, name string, nodes ...*rtetest.Server) (hubURL string) {
	t.Helper()
	switch name {
	case "nginx":
		return rtetest.MustStartNginx(t, nodes...).HubURL
	case "caddy":
		return rtetest.MustStartCaddy(t, nodes...).HubURL
	default:
		return rtetest.MustStartHAProxy(t, "leastconn", nodes...).HubURL
	}
}

// mustLargeToken returns a token of our agent with a claim that nothing reads, of about so many bytes.
func mustLargeToken(t *testing.T, size int) string {
	t.Helper()
	payload := fmt.Sprintf(`{"sub":%q,"org":%q,"role":"agent","iss":%q,"aud":%q,"exp":%d,"groups":%q}`,
		ourAgent, ourOrganization, rtetest.Issuer, rtetest.Audience, time.Now().Add(time.Hour).Unix(),
		strings.Repeat("g", size*3/4))
	return rtetest.MustSign(t, []byte(rtetest.Secret), `{"alg":"HS256","typ":"JWT"}`, payload)
}
