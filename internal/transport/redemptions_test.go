package transport_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
)

// tokenBus carries the redemptions of some servers to all of them, when the test wants it.
type tokenBus struct {
	mu      sync.Mutex
	down    bool     // guarded by mu
	waiting [][]byte // guarded by mu
}

func (b *tokenBus) announce(_ context.Context, message []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return errors.New("redis is away")
	}
	b.waiting = append(b.waiting, message)
	return nil
}

// deliver waits for n messages and delivers them, in the reverse order and twice.
func (b *tokenBus) deliver(t *testing.T, n int, servers ...*server) {
	t.Helper()
	servers[0].eventually("the redemptions were announced", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.waiting) >= n
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	for range 2 {
		for i := range b.waiting {
			for _, s := range servers {
				if err := s.HandleRedemptions(b.waiting[len(b.waiting)-1-i]); err != nil {
					t.Error(err)
				}
			}
		}
	}
	b.waiting = nil
}

func (b *tokenBus) join(s *setup) { s.Secret, s.Tokens.Announce = []byte("of all nodes"), b.announce }

// openWithID opens a connection with a connection token.
func (s *server) openWithID(id string) *wire {
	s.t.Helper()
	w := s.connect()
	if response, body := w.upgrade("/rte?id="+id, "alice"); response.StatusCode != http.StatusSwitchingProtocols {
		s.t.Fatalf("upgrade: %s %q", response.Status, body)
	}
	return w
}

// handshake performs the hub handshake.
func (w *wire) handshake() {
	w.text(`{"protocol":"json","version":1}` + separator)
	w.expectText("{}")
	w.expectNothing() // the session is open
}

// A connection token worked once on each node: two connections had one id.
func TestRedemptions_tokenWorksOnceOnAllNodes(t *testing.T) {
	var bus tokenBus
	one, other := startServer(t, bus.join), startServer(t, bus.join)
	id := one.negotiate("alice").ConnectionToken
	first := other.openWithID(id)
	first.handshake()
	bus.deliver(t, 1, one, other)
	for _, s := range []*server{one, other} {
		if response, _ := s.connect().upgrade("/rte?id="+id, "alice"); response.StatusCode == http.StatusSwitchingProtocols {
			t.Error("the token was accepted again")
		}
	}
	first.expectNothing()

	// Both accept a token before they have the message of the other: the older connection stays.
	for _, open := range []bool{true, false} { // the younger one has a session, or is in its handshake
		id = one.negotiate("alice").ConnectionToken
		older := other.openWithID(id)
		older.handshake()
		younger := one.openWithID(id)
		if open {
			younger.handshake()
		}
		bus.deliver(t, 2, one, other)
		if open {
			younger.expectText(`{"type":7,"error":"Connection closed with an error."}`)
			younger.expectClose(1000)
		} else if _, _, err := younger.next(); err == nil {
			t.Error("the younger connection is still open")
		}
		older.expectNothing()
	}
	if n := one.count("rte_transport_duplicates_total"); n != 2 {
		t.Errorf("%v duplicates are counted", n)
	}
	if n := other.count("rte_transport_duplicates_total"); n != 0 {
		t.Errorf("%v older connections ended", n)
	}
}

// While Redis is away nodes accept connections, and count those that the others do not learn of.
func TestRedemptions_lostOnesAreCounted(t *testing.T) {
	bus := tokenBus{down: true}
	s := startServer(t, bus.join)
	s.openWithID(s.negotiate("alice").ConnectionToken).handshake()
	s.eventually("the loss is counted", func() bool {
		return s.count("rte_transport_redemptions_total", "result", "lost") == 1
	})
}

func TestRedemptions_refusesForeignMessages(t *testing.T) {
	var bus tokenBus
	one, other := startServer(t, bus.join), startServer(t, func(s *setup) { s.Secret = []byte("of another deployment") })
	one.openWithID(one.negotiate("alice").ConnectionToken).handshake()
	one.eventually("a message", func() bool { bus.mu.Lock(); defer bus.mu.Unlock(); return len(bus.waiting) == 1 })
	message := bus.waiting[0]
	if err := other.HandleRedemptions(message); err == nil {
		t.Error("a message of another deployment was accepted")
	}
	for i := range message {
		changed := append([]byte(nil), message...)
		changed[i] ^= 1
		if err := one.HandleRedemptions(changed); err == nil {
			t.Errorf("a message with another byte %d was accepted", i)
		}
		if err := one.HandleRedemptions(message[:i]); err == nil {
			t.Errorf("%d bytes of a message were accepted", i)
		}
	}
}
