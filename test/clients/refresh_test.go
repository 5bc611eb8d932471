package clients

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// refreshVersion is the release of Microsoft's .NET client that refreshes tokens.
const refreshVersion = "11.0.0"

// The lifetimes of tokens: of those that are replaced in time, and of those that are not.
const (
	lifetime      = 8 * time.Second
	shortLifetime = 3 * time.Second
)

// refreshBefore is how long before the end of its token the client hands in a new one.
func refreshBefore(lifetime time.Duration) time.Duration { return lifetime * 3 / 4 }

// refreshSpan returns how long the test keeps connections open with refreshed tokens: long enough for two refreshes, or
// RTE_REFRESH_SPAN (a minute is a good choice).
func refreshSpan(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("RTE_REFRESH_SPAN")
	if text == "" {
		return lifetime + 3*time.Second
	}
	span, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("RTE_REFRESH_SPAN: %v", err)
	}
	return span
}

// issuer is a token endpoint: it signs a token of a few seconds for whoever asks.
type issuer struct {
	*httptest.Server
	lifetime time.Duration
	claims   atomic.Pointer[authz.Claims]
}

func startIssuer(t *testing.T, claims authz.Claims, lifetime time.Duration) *issuer {
	t.Helper()
	i := &issuer{lifetime: lifetime}
	i.claims.Store(&claims)
	signer := token.NewSigner(token.SignerOptions{
		Secret:  rtetest.Secret,
		Require: token.Requirements{Issuers: []string{rtetest.Issuer}, Audiences: []string{rtetest.Audience}},
	})
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		signed, err := signer.Sign(*i.claims.Load(), lifetime)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, signed)
	}))
	t.Cleanup(i.Close)
	return i
}

// startSplit starts a load balancer of its own kind: sockets go to one node, and all other requests to another.
func startSplit(t *testing.T, sockets, others *rtetest.Server) string {
	t.Helper()
	proxy := func(node *rtetest.Server) http.Handler {
		p := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: node.Host})
		p.Transport = &http.Transport{DisableKeepAlives: true}
		return p
	}
	socket, other := proxy(sockets), proxy(others)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			socket.ServeHTTP(w, r)
			return
		}
		other.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/rte"
}

// TestRefresh_ofTheDotnetClient lets Microsoft's .NET client replace its tokens of 8 s by itself: once on one
// node, once with every request except the WebSocket sent to another node.
func TestRefresh_ofTheDotnetClient(t *testing.T) {
	program := rtetest.FindDotnet(t, "the refresh of tokens by the .NET client")
	if program == "" {
		return
	}
	s := newStage(t)
	refreshing := rtetest.Settings{"auth.refresh": "true", "auth.close_at_expiry": "true", "auth.expiry_grace": "0s"}
	first, second := s.startNode(t, refreshing), s.startNode(t, refreshing)
	without := s.startNode(t, rtetest.Settings{"auth.close_at_expiry": "true", "auth.expiry_grace": "0s"})
	across := startSplit(t, first, second)
	c := startClient(t, library{name: "dotnet " + refreshVersion, command: dotnet(program, refreshVersion)}, s)
	c.waitReady(t)

	t.Run("group", func(t *testing.T) {
		for name, hub := range map[string]string{"one node": first.HubURL, "another node": across} {
			t.Run("stays on "+name, func(t *testing.T) { t.Parallel(); s.stays(t, c, hub) })
			t.Run("is refused on "+name, func(t *testing.T) { t.Parallel(); s.refused(t, c, hub) })
			t.Run("is revoked on "+name, func(t *testing.T) { t.Parallel(); s.revoked(t, c, hub, second) })
		}
		t.Run("is switched off", func(t *testing.T) { t.Parallel(); s.switchedOff(t, c, without.HubURL) })
	})
	for _, node := range []*rtetest.Server{first, second} {
		if node.Metric("rte_transport_refreshes_total") == 0 {
			t.Errorf("%s has refreshed no token", node.Host)
		}
	}
}

// service returns claims that may subscribe to everybody.
func (s *stage) service(t *testing.T) authz.Claims {
	t.Helper()
	return authz.Claims{
		User: rtetest.MustID(t, s.agent(t)), Organization: rtetest.MustID(t, organization), Role: authz.RoleService,
	}
}

// openRefreshing opens a connection that asks an issuer for tokens and replaces them by itself. It returns the time at
// which the first token expires at the earliest.
func (c *client) openRefreshing(t *testing.T, hub string, i *issuer) (conn *connection, expiry time.Time) {
	t.Helper()
	number := c.lastID.Add(1)
	conn = &connection{
		client: c, number: number, protocol: "json",
		messages: make(chan json.RawMessage, maxMessages), events: make(chan line, 64),
	}
	c.mu.Lock()
	c.connections[number] = conn
	c.mu.Unlock()
	// Tokens name whole seconds.
	expiry = time.Now().Truncate(time.Second).Add(i.lifetime)
	_, err := c.do(map[string]any{
		"do": "open", "connection": number, "url": hub, "tokenUrl": i.URL, "protocol": "json",
		"refreshBefore": refreshBefore(i.lifetime).Milliseconds(),
	})
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	return conn, expiry
}

// stays checks that a connection outlives its first tokens, without a gap in its events.
func (s *stage) stays(t *testing.T, c *client, hub string) {
	i := startIssuer(t, s.service(t), lifetime)
	conn, _ := c.openRefreshing(t, hub, i)
	agent := s.agent(t)
	var results []map[string]any
	conn.mustInvoke(t, &results, "Subscribe", []any{item(agent, eventName)})
	refreshes := 0
	deadline := time.After(refreshSpan(t))
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		s.publishNumber(t, agent, n)
		select {
		case text := <-conn.messages:
			if want := fmt.Sprintf(`"number":%d,`, n); !strings.Contains(string(text), want) {
				t.Fatalf("received %s, want the event with %s", text, want)
			}
		case <-time.After(patience):
			t.Fatalf("event %d did not arrive", n)
		}
		select {
		case l := <-conn.events:
			if l.Event != "refreshed" {
				t.Fatalf("the connection reported %q (%s)", l.Event, l.Error)
			}
			refreshes++
			continue
		case <-deadline:
			if refreshes < 2 {
				t.Errorf("the client refreshed %d times", refreshes)
			}
			t.Logf("%d refreshes, %d events without a gap", refreshes, n+1)
			conn.close(t)
			return
		case <-tick.C:
		}
	}
}

// publishNumber publishes one event of an agent.
func (s *stage) publishNumber(t *testing.T, agent string, number int) {
	t.Helper()
	data := fmt.Sprintf(`{"RootEntityType":"Organization","RootEntityId":%[1]q,"OrganizationId":%[1]q,"EventType":%[2]q,`+
		`"EntityType":"User","EntityId":%[3]q,"UserId":%[3]q,"Number":%[4]d,"MessageTTLSeconds":-1}`,
		organization, eventName, agent, number)
	if err := s.publisher.Publish(t.Context(), "rte:org:"+organization, data).Err(); err != nil {
		t.Fatalf("publish: %v", err)
	}
}

// refused checks that the token of another user is refused, and that the connection lives on until its own expires.
func (s *stage) refused(t *testing.T, c *client, hub string) {
	i := startIssuer(t, s.service(t), shortLifetime)
	conn, expiry := c.openRefreshing(t, hub, i)
	other := s.service(t)
	i.claims.Store(&other)
	if l := conn.expect(t, "refreshFailed"); !strings.Contains(l.Error, "403") {
		t.Errorf("the client reported %q, want 403", l.Error)
	}
	conn.expect(t, "closed")
	if now := time.Now(); now.Before(expiry) {
		t.Errorf("the connection ended %v before its token", expiry.Sub(now))
	}
}

// switchedOff checks that a server that does not refresh refuses it, and that the connection ends with its token.
func (s *stage) switchedOff(t *testing.T, c *client, hub string) {
	conn, expiry := c.openRefreshing(t, hub, startIssuer(t, s.service(t), shortLifetime))
	if _, err := c.do(map[string]any{"do": "refresh", "connection": conn.number}); err == nil {
		t.Error("a server that does not refresh has refreshed")
	}
	l := conn.expectOneOf(t, "refreshFailed", "closed")
	if l.Event == "refreshFailed" {
		conn.expect(t, "closed")
	}
	if now := time.Now(); now.Before(expiry) {
		t.Errorf("the connection ended %v before its token", expiry.Sub(now))
	}
}

// revoked checks that a connection whose user is revoked on a node ends at once.
func (s *stage) revoked(t *testing.T, c *client, hub string, node *rtetest.Server) {
	claims := s.service(t)
	conn, expiry := c.openRefreshing(t, hub, startIssuer(t, claims, lifetime))
	conn.expect(t, "refreshed")
	body := fmt.Sprintf(`{"user":%q,"before":%d}`, claims.User, time.Now().Unix()+10)
	response, err := http.Post(node.ConsoleURL+"/api/revoke", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("revoke: %s", response.Status)
	}
	conn.expectOneOf(t, "closed")
	if now := time.Now(); now.After(expiry) {
		t.Errorf("the connection ended %v after its first token would have", now.Sub(expiry))
	}
}

// expectOneOf waits for the next event of a connection, and fails unless it is one of those wanted.
func (c *connection) expectOneOf(t *testing.T, wanted ...string) line {
	t.Helper()
	select {
	case l := <-c.events:
		if slices.Contains(wanted, l.Event) {
			return l
		}
		t.Fatalf("the connection reported %q (%s), want %q", l.Event, l.Error, wanted)
	case <-time.After(patience):
		t.Fatalf("the connection did not report %q", wanted)
	}
	panic("unreachable")
}
