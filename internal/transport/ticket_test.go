package transport_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/transport/transports"
)

// ticketBearers are the bearers of the tests of tickets.
func ticketBearers() verifier {
	of := func(id string, expires time.Time) *authz.Claims {
		return &authz.Claims{
			User: bearers["alice"].User, Organization: organization, Role: authz.RoleAgent, TokenID: id, ExpiresAt: expires,
		}
	}
	large := of("large", time.Time{})
	for range 100 {
		large.Organizations = append(large.Organizations, events.NewID())
	}
	return verifier{
		"alice": of("first", time.Now().Add(time.Hour)), "bob": bearers["bob"],
		"later": of("later", time.Now().Add(2*time.Hour)), "large": large,
		"expired": of("expired", time.Now().Add(-time.Minute)), "revoked": of("revoked", time.Time{}),
	}
}

// withTickets lets a connection token open its connection.
func withTickets(s *setup) {
	s.Verifier, s.Tokens.Tickets, s.Refresh.Enabled = ticketBearers(), true, true
	s.Tokens.Revoked = func(claims *authz.Claims) bool { return claims.TokenID == "revoked" }
	s.Transports = transports.Set{true, true, true}
}

// ticket negotiates and returns the target of the WebSocket, with the ticket.
func (s *server) ticket(bearer string) (target string) {
	s.t.Helper()
	_, body := s.do(http.MethodPost, "/rte/negotiate?negotiateVersion=1", bearer)
	if !strings.Contains(body, `,"webSocketTicket":true,`) {
		s.t.Fatalf("no ticket: %s", body)
	}
	_, rest, _ := strings.Cut(body, `"connectionToken":"`)
	connection, _, _ := strings.Cut(rest, `"`)
	if strings.Count(connection, ".") != 3 {
		s.t.Fatalf("no ticket in %s", connection)
	}
	return "/rte?id=" + connection
}

// expectUpgrade asks for a WebSocket and expects a status. It returns the connection.
func (s *server) expectUpgrade(what, target, bearer string, status int, headers ...string) *wire {
	s.t.Helper()
	w := s.connect()
	if response, body := w.upgrade(target, bearer, headers...); response.StatusCode != status {
		s.t.Errorf("%s: %s %q, want %d", what, response.Status, body, status)
	}
	return w
}

// slowly makes net/http read a request: the entrance leaves requests with this header to net/http.
const slowly = "Content-Length: 0"

func TestTicket_opensTheWebSocketOnAnyNodeOnce(t *testing.T) {
	for name, headers := range map[string][]string{"entrance": nil, "net/http": {slowly}} {
		t.Run(name, func(t *testing.T) {
			var bus tokenBus
			one, other := startServer(t, withTickets, bus.join), startServer(t, withTickets, bus.join)
			target := one.ticket("alice")
			w := other.expectUpgrade("another node", target, "", 101, headers...)
			w.handshake()
			other.expectUpgrade("again on that node", target, "", 401, headers...)
			bus.deliver(t, 1, one, other)
			one.expectUpgrade("again on the first node", target, "", 401, headers...)
			other.expectUpgrade("again with a token", target, "alice", 409, headers...)
			w.expectNothing()
			if n := other.count("rte_transport_tickets_total"); n != 1 {
				t.Errorf("%v tickets are counted", n)
			}
			for session := range other.hub.Sessions().All() {
				if !session.Claims().Equal(ticketBearers()["alice"]) && session.Claims().TokenID != "first" {
					t.Errorf("claims %+v", session.Claims())
				}
			}
			w.Close()
		})
	}
}

func TestTicket_isRefused(t *testing.T) {
	for name, headers := range map[string][]string{"entrance": nil, "net/http": {slowly}} {
		t.Run(name, func(t *testing.T) {
			secret := func(s *setup) { s.Secret = []byte("of all nodes") }
			s := startServer(t, withTickets, secret)
			off := startServer(t, withTickets, secret, func(s *setup) { s.Tokens.Tickets = false })
			stranger := startServer(t, withTickets, func(s *setup) { s.Secret = []byte("of others") })
			alices, bobs := s.ticket("alice"), s.ticket("bob")
			cut := strings.LastIndexByte(alices, '.')
			token, ticket := alices[:cut], alices[cut:]
			s.expectUpgrade("without the ticket", token, "", 401, headers...)
			s.expectUpgrade("with an empty one", token+".", "", 401, headers...)
			s.expectUpgrade("with two", alices+ticket, "", 401, headers...)
			s.expectUpgrade("ticket of another connection", bobs[:strings.LastIndexByte(bobs, '.')]+ticket, "", 401, headers...)
			for i := 1; i < len(ticket); i += 13 {
				forged := []byte(alices)
				forged[cut+i] ^= 1
				s.expectUpgrade("forged", string(forged), "", 401, headers...)
			}
			s.expectUpgrade("with the token of another user", alices, "bob", 404, headers...)
			s.expectUpgrade("with a bad token", alices, "nobody", 401, headers...)
			s.expectUpgrade("of an expired token", s.ticket("expired"), "", 401, headers...)
			s.expectUpgrade("of a revoked token", s.ticket("revoked"), "", 401, headers...)
			stranger.expectUpgrade("with another secret", alices, "", 401, headers...)
			off.expectUpgrade("where tickets are off", alices, "", 401, headers...)
			off.expectUpgrade("where tickets are off, with a token", alices, "alice", 101, headers...)
			s.expectUpgrade("with a token beside it", alices, "later", 101, headers...)
		})
	}
}

// A ticket opens a connection. It is no token for other requests.
func TestTicket_countsForNothingElse(t *testing.T) {
	s := startServer(t, withTickets)
	target := s.ticket("alice")
	connection := strings.TrimPrefix(target, "/rte?id=")
	for _, request := range [][]string{
		{http.MethodPost, "/rte/negotiate?negotiateVersion=1&id=" + connection},
		{http.MethodPost, "/rte/refresh?id=" + connection, "X-SignalR-Connection-Token: " + connection},
		{http.MethodPost, target},
		{http.MethodDelete, target},
		{http.MethodGet, target},
	} {
		if response, _ := s.do(request[0], request[1], "", request[2:]...); response.StatusCode != 401 {
			t.Errorf("%s %.30s: %s", request[0], request[1], response.Status)
		}
	}
	w := s.expectUpgrade("ticket", target, "", 101)
	w.handshake()
	if response, body := s.refresh(connection, "later"); response.StatusCode != 200 {
		t.Errorf("refresh: %s %s", response.Status, body)
	}
	for session := range s.hub.Sessions().All() {
		if session.Claims().TokenID != "later" {
			t.Errorf("the token %q is in force", session.Claims().TokenID)
		}
	}
}

// A socket that continues a connection needs a token: its ticket has been used.
func TestTicket_continuesNoConnection(t *testing.T) {
	s := startServer(t, withTickets, func(s *setup) { s.Resume.Window = patience })
	_, body := s.do(http.MethodPost, "/rte/negotiate?negotiateVersion=1&useStatefulReconnect=true", "alice")
	_, rest, _ := strings.Cut(body, `"connectionToken":"`)
	connection, _, _ := strings.Cut(rest, `"`)
	w := s.expectUpgrade("ticket", "/rte?id="+connection, "", 101)
	w.text(`{"protocol":"json","version":2}` + separator)
	w.expectText("{}")
	w.text(ping)
	w.expectNothing()
	s.expectUpgrade("ticket again", "/rte?id="+connection, "", 401)
	w.expectNothing()
	s.expectUpgrade("token", "/rte?id="+connection, "alice", 101)
}

// Claims that are too large for a URL have no ticket; the client shows its token.
func TestTicket_ofLargeClaims(t *testing.T) {
	s := startServer(t, withTickets)
	_, body := s.do(http.MethodPost, "/rte/negotiate?negotiateVersion=1", "large")
	if strings.Contains(body, "Ticket") || s.count("rte_transport_tickets_too_large_total") != 1 {
		t.Errorf("a ticket: %s", body)
	}
}

func TestTicket_opensServerSentEvents(t *testing.T) {
	s := startServer(t, withTickets)
	target := s.ticket("alice")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.addr+target, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "text/event-stream")
	for _, want := range []int{200, 401} {
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s, want %d", response.Status, want)
		}
	}
	if n := s.count("rte_transport_tickets_total"); n != 1 {
		t.Errorf("%v tickets are counted", n)
	}
}
