package transport

import (
	"net/netip"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
)

// TestSetLimits_countsOpenConnections checks that a quota that begins while connections are open counts them, and that
// one that ends leaves nothing behind.
func TestSetLimits_countsOpenConnections(t *testing.T) {
	unlimited := Limits{Connections: 100, UserConnections: -1, AddressConnections: -1}
	cs := newConnections(&unlimited, time.Minute)
	claims := &authz.Claims{Organization: events.NewID(), User: events.NewID()}
	public := netip.MustParseAddr("198.51.100.7")
	var open []*Conn
	add := func() (refusal, bool) {
		c := &Conn{id: newConnID(), owner: ownerOf(claims, remote{address: public})}
		reason, ok := cs.add(c)
		if ok {
			open = append(open, c)
		}
		return reason, ok
	}
	for range 3 {
		if reason, ok := add(); !ok {
			t.Fatalf("refused without a limit: %v", reason)
		}
	}
	for _, test := range []struct {
		name   string
		change func(*Limits)
		reason refusal
	}{
		{"Connections", func(l *Limits) { l.Connections = 3 }, refusedFull},
		{"OrganizationConnections", func(l *Limits) { l.OrganizationConnections = 3 }, refusedQuota},
		{"UserConnections", func(l *Limits) { l.UserConnections = 3 }, refusedUserQuota},
		{"AddressConnections", func(l *Limits) { l.AddressConnections = 3 }, refusedAddressQuota},
	} {
		limits := unlimited
		test.change(&limits)
		cs.setLimits(&limits)
		if reason, ok := add(); ok || reason != test.reason {
			t.Errorf("%s: a fourth connection: %v %v, want %v", test.name, reason, ok, test.reason)
		}
		cs.remove(open[0])
		open = open[1:]
		if reason, ok := add(); !ok {
			t.Errorf("%s: a connection in the place of another: %v", test.name, reason)
		}
		cs.setLimits(&unlimited)
		if _, ok := add(); !ok {
			t.Errorf("%s: refused after the limit has gone", test.name)
		}
		cs.remove(open[0])
		open = open[1:]
	}
}

// TestSetSecrets_acceptsPreviousOnes checks connection tokens and messages of other nodes during a rotation.
func TestSetSecrets_acceptsPreviousOnes(t *testing.T) {
	now, claims, id := time.Now(), &authz.Claims{User: events.NewID()}, newConnID()
	first, second := []byte("first"), []byte("second")
	tokens := mustTokens(t, first, time.Minute, time.Minute)
	requests := newRefreshRequests()
	key := func(secret []byte, previous ...[]byte) {
		t.Helper()
		for purpose, set := range map[string]func(*[][]byte){
			"connection token": tokens.keys.Store, "refresh": requests.keys.Store,
		} {
			keys, err := deriveKeys(purpose, secret, previous)
			if err != nil {
				t.Fatal(err)
			}
			set(&keys)
		}
	}
	key(first)
	token, message := tokens.make(id, 1, false, claims, now), requests.seal(&refreshMessage{Number: "1", Sent: now})
	for _, step := range []struct {
		name     string
		secret   []byte
		previous [][]byte
		accepted bool
	}{
		{"replaced", second, nil, false},
		{"accepted besides", second, [][]byte{nil, first}, true},
		{"in force again", first, [][]byte{second}, true},
	} {
		key(step.secret, step.previous...)
		parsed, ok := tokens.parse(token, claims)
		_, err := requests.open(message)
		if ok != step.accepted || ok && !parsed.sameUser || (err == nil) != step.accepted {
			t.Errorf("%s: token %v of the same user %v, message %v", step.name, ok, parsed.sameUser, err)
		}
	}
}
