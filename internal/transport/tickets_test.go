package transport

import (
	"errors"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/hub"
)

// newTicketHandler returns a handler that accepts tickets.
func newTicketHandler(t testing.TB) *Handler {
	t.Helper()
	h, err := New(Options{
		Open: func(hub.Conn, *authz.Claims) (Session, error) { return nil, hub.ErrDraining }, Verifier: noVerifier{},
		Secret: []byte("of all nodes"), Tokens: TokenOptions{Tickets: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

type noVerifier struct{}

func (noVerifier) Verify(string) (*authz.Claims, error) { return nil, errNoToken }

// mustTicket returns a connection token with a ticket of a certain time.
func (h *Handler) mustTicket(t testing.TB, claims *authz.Claims, at time.Time) string {
	t.Helper()
	id := newConnID()
	made, ok := h.tickets.add(h.tokens.make(id, 1, false, claims, at), id, claims)
	if !ok {
		t.Fatal("no ticket")
	}
	return made
}

func TestTickets_expireWithTheirToken(t *testing.T) {
	h, claims := newTicketHandler(t), &authz.Claims{User: events.NewID(), Role: authz.RoleAgent}
	for age, good := range map[time.Duration]bool{0: true, 14 * time.Second: true, 16 * time.Second: false} {
		text := h.mustTicket(t, claims, time.Now().Add(-age))
		got, err := h.redeemable(query{"id": {text}})
		if good && (err != nil || !got.Equal(claims)) || !good && !errors.Is(err, errNoToken) {
			t.Errorf("after %s: %v %v", age, got, err)
		}
	}
}

// The secret changes node by node.
func TestTickets_acceptPreviousSecrets(t *testing.T) {
	h, claims := newTicketHandler(t), &authz.Claims{User: events.NewID(), Role: authz.RoleAgent}
	text := h.mustTicket(t, claims, time.Now())
	for want, secrets := range map[bool][][]byte{
		true: {[]byte("new"), []byte("of all nodes")}, false: {[]byte("new"), []byte("older")},
	} {
		if err := h.SetSecrets(secrets[0], secrets[1:]...); err != nil {
			t.Fatal(err)
		}
		if _, err := h.redeemable(query{"id": {text}}); (err == nil) != want {
			t.Errorf("accepted: %v, want %v", err == nil, want)
		}
	}
}

// Each process of the fuzzer has a ticket of its own, so the input is a change of it.
func FuzzTickets(f *testing.F) {
	h := newTicketHandler(f)
	good := h.mustTicket(f, &authz.Claims{User: events.NewID(), Role: authz.RoleAgent}, time.Now())
	f.Add(0, "...", true)
	f.Add(len(good)-1, "", true)
	f.Add(len(good), ".", false)
	f.Add(len(good), "\n", false)
	f.Add(3, "A", false)
	f.Fuzz(func(t *testing.T, at int, text string, cut bool) {
		begin := max(0, min(at, len(good)))
		end := min(begin+len(text), len(good))
		if cut {
			end = len(good)
		}
		changed := good[:begin] + text + good[end:]
		if changed != good && h.tickets.open(changed) != nil {
			t.Errorf("%q was opened", changed)
		}
	})
}

// BenchmarkTicket measures the additional time of negotiate and of an upgrade with a ticket.
func BenchmarkTicket(b *testing.B) {
	h := newTicketHandler(b)
	claims := &authz.Claims{
		User: events.NewID(), Organization: events.NewID(), Role: authz.RoleAgent, TokenID: events.NewID().String(),
		IssuedAt: time.Now().Truncate(time.Second), ExpiresAt: time.Now().Add(time.Hour).Truncate(time.Second),
	}
	id := newConnID()
	token := h.tokens.make(id, 1, false, claims, time.Now())
	text := h.mustTicket(b, claims, time.Now())
	b.Run("negotiate", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h.tickets.add(token, id, claims)
		}
		b.ReportMetric(float64(len(text)-len(token)), "bytes")
	})
	b.Run("upgrade", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := h.redeemable(query{"id": {text}}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
