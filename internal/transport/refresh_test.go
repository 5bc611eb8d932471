package transport_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/hub"
)

// expiring returns bearers whose tokens expire.
func expiring() verifier {
	soon, later := time.Now().Add(2*time.Second), time.Now().Add(time.Hour)
	alice, bob := bearers["alice"], bearers["bob"]
	return verifier{
		"alice": {User: alice.User, Organization: organization, Role: authz.RoleSupervisor, ExpiresAt: soon},
		"alice later": {
			User: alice.User, Organization: organization, Role: authz.RoleAgent, ExpiresAt: later, TokenID: "later",
		},
		"alice for ever":  {User: alice.User, Organization: organization, Role: authz.RoleAgent},
		"alice elsewhere": {User: alice.User, Organization: events.ID{7}, Role: authz.RoleAgent, ExpiresAt: later},
		"alice revoked": {
			User: alice.User, Organization: organization, Role: authz.RoleAgent, ExpiresAt: later, TokenID: "revoked",
		},
		"bob": {User: bob.User, Organization: organization, Role: authz.RoleAgent, ExpiresAt: later},
	}
}

// withRefresh makes connections end with their tokens, unless they are refreshed.
func withRefresh(s *setup) {
	s.Verifier, s.Refresh.Enabled, s.Tokens.CloseAtExpiry, s.Secret = expiring(), true, true, []byte("of all nodes")
	s.hub.Authorization.Revoked = func(c *authz.Claims) bool { return c.TokenID == "revoked" }
	s.hub.Authorization.Rechecker = supervisors{}
}

// supervisors is a Rechecker that allows everything, but to supervisors only.
type supervisors struct{}

func (supervisors) Recheck(_ context.Context, claims *authz.Claims, topics []events.Topic) []bool {
	allowed := make([]bool, len(topics))
	for i := range allowed {
		allowed[i] = claims.Role == authz.RoleSupervisor
	}
	return allowed
}

// openToken negotiates and opens a connection, and returns its connection token.
func (s *server) openToken(token string) (*wire, string) {
	s.t.Helper()
	id := s.negotiate(token).ConnectionToken
	w := s.connect()
	if response, body := w.upgrade(
		"/rte?features=notices&id="+id, token,
	); response.StatusCode != http.StatusSwitchingProtocols {
		s.t.Fatalf("upgrade: %s %q", response.Status, body)
	}
	w.text(`{"protocol":"json","version":1}` + separator)
	w.expectText("{}")
	w.expectNothing() // the session is open
	return w, id
}

// refresh asks for the refresh of the connection that a connection token names, with a bearer.
func (s *server) refresh(connection, bearer string) (*http.Response, string) {
	s.t.Helper()
	return s.do(http.MethodPost, "/rte/refresh", bearer, "X-SignalR-Connection-Token: "+connection)
}

func TestRefresh_movesTheExpiry(t *testing.T) {
	var refreshes sync.Map // the token ids, by connection
	s := startServer(t, withRefresh, func(s *setup) {
		s.Refresh.Refreshed = func(c hub.Conn, claims *authz.Claims) { refreshes.Store(claims.TokenID, c.ID()) }
	})
	kept, id := s.openToken("alice")
	forEver, other := s.openToken("alice")
	left, _ := s.openToken("alice")
	response, body := s.refresh(id, "alice later")
	if response.StatusCode != 200 || response.Header.Get("Content-Type") != "application/json" || !isHour(body) {
		t.Errorf("%s %v %s", response.Status, response.Header, body)
	}
	if response, body = s.refresh(other, "alice for ever"); response.StatusCode != 200 || body != "{}" {
		t.Errorf("%s %s", response.Status, body)
	}
	if _, ok := refreshes.Load("later"); !ok {
		t.Error("the refresh is not reported")
	}
	left.expectText(`{"type":7,"allowReconnect":true}`) // its token and those of the others have expired
	left.expectClose(1000)
	kept.expectNothing()
	forEver.expectNothing()
	if n := s.count("rte_transport_refreshes_total"); n != 2 {
		t.Errorf("%v refreshes are counted", n)
	}
}

// isHour reports whether an answer has the lifetime of a token that was good for an hour when the test began.
func isHour(body string) bool { return strings.HasPrefix(body, `{"tokenLifetimeSeconds":35`) }

func TestRefresh_appliesTheNewRights(t *testing.T) {
	s := startServer(t, withRefresh)
	w, id := s.openToken("alice")
	if _, failure := w.call("1", "Subscribe", []subscription{{noticeEntity, "UserStatus"}}); failure != "" {
		t.Fatal(failure)
	}
	if response, body := s.refresh(id, "bob"); response.StatusCode != 403 {
		t.Errorf("%s %s", response.Status, body)
	}
	w.expectNothing()
	if response, body := s.refresh(id, "alice later"); response.StatusCode != 200 {
		t.Fatalf("%s %s", response.Status, body)
	}
	_, text, err := w.next()
	if err != nil || !strings.HasPrefix(string(text), `{"type":1,"target":"SubscriptionsEnded"`) {
		t.Errorf("got %s, %v", text, err)
	}
}

func TestRefresh_negotiateHasTheLifetime(t *testing.T) {
	s := startServer(t, withRefresh)
	for token, want := range map[string]bool{"bob": true, "alice for ever": false} {
		_, body := s.do(http.MethodPost, "/rte/negotiate?negotiateVersion=1", token)
		if has := strings.Contains(
			body, `,"tokenLifetimeSeconds":359`,
		); has != want || strings.Contains(body, "Lifetime") != want {
			t.Errorf("%s: %s", token, body)
		}
	}
	if _, body := s.do(http.MethodPost, "/rte/negotiate", "bob"); strings.Contains(body, "Lifetime") {
		t.Errorf("version 0: %s", body)
	}
}

// bus carries messages to all nodes, as Redis does.
type bus struct {
	mu       sync.Mutex // guards the following fields
	nodes    []*server
	messages [][]byte
	broken   error
}

func (b *bus) forward(_ context.Context, message []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.messages = append(b.messages, bytes.Clone(message))
	for _, s := range b.nodes {
		go func() {
			if err := s.HandleRefresh(message); err != nil {
				s.t.Error(err)
			}
		}()
	}
	return b.broken
}

// join starts a node on the bus.
func (b *bus) join(t *testing.T, changes ...func(*setup)) *server {
	t.Helper()
	s := startServer(
		t, append([]func(*setup){withRefresh, func(s *setup) { s.Refresh.Forward = b.forward }}, changes...)...,
	)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.nodes = append(b.nodes, s)
	return s
}

func TestRefresh_throughAnotherNode(t *testing.T) {
	b := &bus{}
	owner, other := b.join(t), b.join(t)
	w, id := owner.openToken("alice")
	left, _ := owner.openToken("alice")
	if _, failure := w.call("1", "Subscribe", []subscription{{noticeEntity, "UserStatus"}}); failure != "" {
		t.Fatal(failure)
	}
	if response, body := other.refresh(id, "alice later"); response.StatusCode != 200 || !isHour(body) {
		t.Errorf("%s %s", response.Status, body)
	}
	_, text, err := w.next()
	if err != nil || !strings.HasPrefix(string(text), `{"type":1,"target":"SubscriptionsEnded"`) {
		t.Errorf("got %s, %v", text, err)
	}
	left.expectText(`{"type":7,"allowReconnect":true}`)
	left.expectClose(1000)
	w.expectNothing()

	for _, message := range b.messages {
		if bytes.Contains(message, []byte("alice")) || bytes.Contains(message, []byte("bob")) {
			t.Errorf("a token is in %q", message)
		}
	}
	b.mu.Lock()
	b.broken = errors.New("away")
	b.mu.Unlock()
	response, body := other.refresh(id, "alice later")
	if response.StatusCode != 503 || body != `{"error":"temporarily_unavailable"}` {
		t.Errorf("without a way to other nodes: %s %s", response.Status, body)
	}
}

func TestHandleRefresh_refusesForgeries(t *testing.T) {
	b := &bus{}
	s, stranger := b.join(t), startServer(t, withRefresh, func(s *setup) { s.Secret = []byte("of others") })
	id := s.negotiate("bob").ConnectionToken
	if response, _ := s.refresh(id, "bob"); response.StatusCode != 200 { // no node has it yet
		t.Fatal(response.Status)
	}
	good := b.messages[0]
	changed := bytes.Clone(good)
	changed[len(changed)-2] ^= 1
	for name, message := range map[string][]byte{
		"nothing": nil, "text": []byte("{}"), "changed": changed, "cut": good[:len(good)-1],
		"huge": bytes.Repeat([]byte{1}, 1<<20),
	} {
		if err := s.HandleRefresh(message); err == nil {
			t.Errorf("%s was understood", name)
		}
	}
	if err := s.HandleRefresh(good); err != nil {
		t.Error(err)
	}
	if err := stranger.HandleRefresh(good); err == nil {
		t.Error("a message of nodes with another secret was understood")
	}
}

// A token that had expired a moment ago, by the clock of this node, was accepted on the node of the connection and
// refused on every other one.
func TestRefresh_throughAnotherNodeWithinTheLeeway(t *testing.T) {
	b := &bus{}
	late := func(s *setup) {
		s.Tokens.Leeway, s.Tokens.CloseAtExpiry = time.Minute, false
		tokens := expiring()
		tokens["alice late"] = &authz.Claims{
			User: bearers["alice"].User, Organization: organization, Role: authz.RoleAgent,
			ExpiresAt: time.Now().Add(-time.Second),
		}
		s.Verifier = tokens
	}
	owner, other := b.join(t, late), b.join(t, late)
	_, id := owner.openToken("alice")
	if response, body := other.refresh(id, "alice late"); response.StatusCode != 200 {
		t.Errorf("%s %s", response.Status, body)
	}
}
