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
)

// expiring returns bearers whose tokens expire.
func expiring() verifier {
	soon, later := time.Now().Add(2*time.Second), time.Now().Add(time.Hour)
	alice, bob := bearers["alice"], bearers["bob"]
	return verifier{
		"alice":           {User: alice.User, Organization: organization, Role: authz.RoleSupervisor, ExpiresAt: soon},
		"alice later":     {User: alice.User, Organization: organization, Role: authz.RoleAgent, ExpiresAt: later, TokenID: "later"},
		"alice for ever":  {User: alice.User, Organization: organization, Role: authz.RoleAgent},
		"alice elsewhere": {User: alice.User, Organization: events.ID{7}, Role: authz.RoleAgent, ExpiresAt: later},
		"alice revoked":   {User: alice.User, Organization: organization, Role: authz.RoleAgent, ExpiresAt: later, TokenID: "revoked"},
		"bob":             {User: bob.User, Organization: organization, Role: authz.RoleAgent, ExpiresAt: later},
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
	if response, body := w.upgrade("/rte?features=notices&id="+id, token); response.StatusCode != http.StatusSwitchingProtocols {
		s.t.Fatalf("upgrade: %s %q", response.Status, body)
	}
	w.text(`{"protocol":"json","version":1}` + separator)
	w.expectText("{}")
	w.expectNothing() // the session is open
	return w, id
}

func TestRefresh_MovesTheExpiry(t *testing.T) {
	s := startServer(t, withRefresh)
	kept, id := s.openToken("alice")
	forEver, other := s.openToken("alice")
	left, _ := s.openToken("alice")
	response, body := s.do(http.MethodPost, "/rte/Refresh/?ID="+id, "alice later")
	if response.StatusCode != 200 || response.Header.Get("Content-Type") != "application/json" ||
		body != `{"tokenLifetimeSeconds":3599}` && body != `{"tokenLifetimeSeconds":3598}` {
		t.Errorf("%s %v %s", response.Status, response.Header, body)
	}
	if response, body = s.do(http.MethodPost, "/rte/refresh?id="+other, "alice for ever"); response.StatusCode != 200 || body != "{}" {
		t.Errorf("%s %s", response.Status, body)
	}
	left.expectText(`{"type":7,"allowReconnect":true}`) // its token and those of the others have expired
	left.expectClose(1000)
	kept.expectNothing()
	forEver.expectNothing()
	if n := s.count("rte_transport_refreshes_total"); n != 2 {
		t.Errorf("%v refreshes are counted", n)
	}
}

func TestRefresh_Rights(t *testing.T) {
	s := startServer(t, withRefresh)
	w, id := s.openToken("alice")
	if _, failure := w.call("1", "Subscribe", []subscription{{noticeEntity, "UserStatus"}}); failure != "" {
		t.Fatal(failure)
	}
	if response, body := s.do(http.MethodPost, "/rte/refresh?id="+id, "bob"); response.StatusCode != 403 {
		t.Errorf("%s %s", response.Status, body)
	}
	w.expectNothing()
	if response, body := s.do(http.MethodPost, "/rte/refresh?id="+id, "alice later"); response.StatusCode != 200 {
		t.Fatalf("%s %s", response.Status, body)
	}
	if _, text, err := w.next(); err != nil || !strings.HasPrefix(string(text), `{"type":1,"target":"SubscriptionsEnded"`) {
		t.Errorf("got %s, %v", text, err)
	}
}

func TestRefresh_Refused(t *testing.T) {
	s := startServer(t, withRefresh)
	_, id := s.openToken("alice")
	unused := s.negotiate("alice").ConnectionToken
	forged := id[:len(id)-1] + map[bool]string{true: "A", false: "Q"}[!strings.HasSuffix(id, "A")]
	for name, test := range map[string]struct {
		method, query, token string
		status               int
		body                 string
	}{
		"not a POST":                     {"GET", "?id=" + id, "alice later", 405, ""},
		"no id":                          {"POST", "", "alice later", 400, `{"error":"missing_connection_token"}`},
		"id that is none":                {"POST", "?id=x", "alice later", 404, `{"error":"connection_not_found"}`},
		"id of a connection, public":     {"POST", "?id=" + id[:22], "alice later", 404, `{"error":"connection_not_found"}`},
		"connection that was not opened": {"POST", "?id=" + unused, "alice later", 404, `{"error":"connection_not_found"}`},
		"made up":                        {"POST", "?id=" + forged, "alice later", 403, `{"error":"user_changed"}`},
		"another user":                   {"POST", "?id=" + id, "bob", 403, `{"error":"user_changed"}`},
		"another organization":           {"POST", "?id=" + id, "alice elsewhere", 403, `{"error":"user_changed"}`},
		"revoked":                        {"POST", "?id=" + id, "alice revoked", 401, `{"error":"invalid_token"}`},
		"bad token":                      {"POST", "?id=" + id, "mallory", 401, `{"error":"invalid_token"}`},
		"no token":                       {"POST", "?id=" + id, "", 401, `{"error":"invalid_token"}`},
	} {
		t.Run(name, func(t *testing.T) {
			response, body := s.do(test.method, "/rte/refresh"+test.query, test.token)
			if response.StatusCode != test.status || body != test.body {
				t.Errorf("%s %s", response.Status, body)
			}
		})
	}
	for session := range s.hub.Sessions().All() {
		if session.Claims().TokenID != "" || session.Claims().Role != authz.RoleSupervisor {
			t.Errorf("the claims became %+v", session.Claims())
		}
	}
}

// A stock server has no such path and no lifetimes in negotiate.
func TestRefresh_Off(t *testing.T) {
	s := startServer(t, withRefresh, func(s *setup) { s.Refresh.Enabled = false })
	_, id := s.openToken("alice")
	if response, _ := s.do(http.MethodPost, "/rte/refresh?id="+id, "alice later"); response.StatusCode != 404 {
		t.Error(response.Status)
	}
	if _, body := s.do(http.MethodPost, "/rte/negotiate?negotiateVersion=1", "alice"); strings.Contains(body, "Lifetime") {
		t.Error(body)
	}
}

func TestRefresh_Negotiate(t *testing.T) {
	s := startServer(t, withRefresh)
	for token, want := range map[string]bool{"bob": true, "alice for ever": false} {
		_, body := s.do(http.MethodPost, "/rte/negotiate?negotiateVersion=1", token)
		if has := strings.Contains(body, `,"tokenLifetimeSeconds":359`); has != want || strings.Contains(body, "Lifetime") != want {
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
	s := startServer(t, append([]func(*setup){withRefresh, func(s *setup) { s.Refresh.Forward = b.forward }}, changes...)...)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.nodes = append(b.nodes, s)
	return s
}

func TestRefresh_OnAnotherNode(t *testing.T) {
	b := &bus{}
	owner, asked := b.join(t), b.join(t)
	w, id := owner.openToken("alice")
	left, _ := owner.openToken("alice")
	if _, failure := w.call("1", "Subscribe", []subscription{{noticeEntity, "UserStatus"}}); failure != "" {
		t.Fatal(failure)
	}
	for _, test := range []struct {
		token, body string
		status      int
	}{
		{"bob", `{"error":"user_changed"}`, 403},
		{"alice elsewhere", `{"error":"user_changed"}`, 403},
		{"alice revoked", `{"error":"invalid_token"}`, 401},
		{"alice later", `{"tokenLifetimeSeconds":359`, 200},
	} {
		response, body := asked.do(http.MethodPost, "/rte/refresh?id="+id, test.token)
		if response.StatusCode != test.status || !strings.HasPrefix(body, test.body) {
			t.Errorf("%s: %s %s", test.token, response.Status, body)
		}
	}
	if _, text, err := w.next(); err != nil || !strings.HasPrefix(string(text), `{"type":1,"target":"SubscriptionsEnded"`) {
		t.Errorf("got %s, %v", text, err)
	}
	left.expectText(`{"type":7,"allowReconnect":true}`)
	left.expectClose(1000)
	w.expectNothing()

	start := time.Now()
	response, body := asked.do(http.MethodPost, "/rte/refresh?id="+asked.negotiate("bob").ConnectionToken, "bob")
	if response.StatusCode != 404 || body != `{"error":"connection_not_found"}` || time.Since(start) > patience {
		t.Errorf("an unknown connection: %s %s", response.Status, body)
	}
	for _, message := range b.messages {
		if bytes.Contains(message, []byte("alice")) || bytes.Contains(message, []byte("bob")) {
			t.Errorf("a token is in %q", message)
		}
	}
	b.mu.Lock()
	b.broken = errors.New("away")
	b.mu.Unlock()
	response, body = asked.do(http.MethodPost, "/rte/refresh?id="+id, "alice later")
	if response.StatusCode != 503 || body != `{"error":"temporarily_unavailable"}` {
		t.Errorf("without a way to other nodes: %s %s", response.Status, body)
	}
}

func TestHandleRefresh_refusesForgeries(t *testing.T) {
	b := &bus{}
	s, stranger := b.join(t), startServer(t, withRefresh, func(s *setup) { s.Secret = []byte("of others") })
	id := s.negotiate("bob").ConnectionToken
	if response, _ := s.do(http.MethodPost, "/rte/refresh?id="+id, "bob"); response.StatusCode != 404 {
		t.Fatal(response.Status)
	}
	good := b.messages[0]
	changed := bytes.Clone(good)
	changed[len(changed)-2] ^= 1
	for name, message := range map[string][]byte{
		"nothing": nil, "text": []byte("{}"), "changed": changed, "cut": good[:len(good)-1], "huge": bytes.Repeat([]byte{1}, 1<<20),
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
