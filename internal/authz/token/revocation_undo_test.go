package token_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/authz/token"
)

// claimsIssued returns claims of a token of the user.
func claimsIssued(id string, at time.Time) *authz.Claims {
	return &authz.Claims{User: me, TokenID: id, IssuedAt: at}
}

func TestRevocations_areUndone(t *testing.T) {
	base := time.UnixMilli(time.Now().UnixMilli())
	at := func(seconds int) time.Time { return base.Add(time.Duration(seconds) * time.Second) }
	until := at(3600)
	revoked := func(second int) token.Revocation {
		return token.Revocation{TokenID: "one", At: at(second), Until: until}
	}
	undone := func(second int) token.Revocation {
		return token.Revocation{TokenID: "one", Undone: true, At: at(second), Until: at(60)}
	}
	plain := token.Revocation{TokenID: "one", Until: until} // of a back end
	ofUser := func(second int) token.Revocation {
		return token.Revocation{User: me, At: at(second), Until: until}
	}
	before := func(second, issued int) token.Revocation {
		return token.Revocation{User: me, Before: at(issued), At: at(second), Until: until}
	}
	undoneUser := func(second int) token.Revocation {
		return token.Revocation{User: me, Undone: true, At: at(second), Until: at(60)}
	}
	for name, test := range map[string]struct {
		known   []token.Revocation
		revoked bool
	}{
		"revoked":                        {[]token.Revocation{revoked(1)}, true},
		"undone":                         {[]token.Revocation{revoked(1), undone(2)}, false},
		"undone, in another order":       {[]token.Revocation{undone(2), revoked(1)}, false},
		"undone at the same time":        {[]token.Revocation{revoked(1), undone(1)}, false},
		"revoked again":                  {[]token.Revocation{revoked(1), undone(2), revoked(3)}, true},
		"revoked again, in another one":  {[]token.Revocation{revoked(3), undone(2), revoked(1)}, true},
		"of a back end, undone":          {[]token.Revocation{plain, undone(2), plain}, false},
		"user revoked":                   {[]token.Revocation{ofUser(1)}, true},
		"user undone":                    {[]token.Revocation{ofUser(1), before(1, 1), undoneUser(2)}, false},
		"user undone, in another order":  {[]token.Revocation{undoneUser(2), before(1, 1), ofUser(1)}, false},
		"user revoked again":             {[]token.Revocation{ofUser(1), undoneUser(2), before(3, 3)}, true},
		"user revoked again, for others": {[]token.Revocation{ofUser(1), undoneUser(2), before(3, 0)}, false},
		"issued before, then others":     {[]token.Revocation{before(1, 2), undoneUser(2), before(3, 0)}, false},
		"another kind undone":            {[]token.Revocation{ofUser(1), undone(2)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			l := token.NewRevocations(0, nil)
			for _, r := range test.known {
				if r.Undone && r.Covers(claimsIssued("one", at(1))) {
					t.Errorf("what undoes a revocation covers tokens: %+v", r)
				}
				if _, err := l.Add(r); err != nil {
					t.Fatal(err)
				}
			}
			if got := l.Check(claimsIssued("one", at(1))); got != test.revoked {
				t.Errorf("revoked: %v, want %v", got, test.revoked)
			}
			// Another node that learns all of it comes to the same result.
			other := token.NewRevocations(0, nil)
			for _, r := range l.All() {
				if _, err := other.Add(r); err != nil {
					t.Fatal(err)
				}
			}
			if got := other.Check(claimsIssued("one", at(1))); got != test.revoked {
				t.Errorf("revoked on another node: %v, want %v", got, test.revoked)
			}
		})
	}
}

// A tombstone must not end before what it undoes, which other nodes and the store still have.
func TestRevocations_stayUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := token.NewRevocations(0, nil)
		r := token.Revocation{TokenID: "one", At: time.Now(), Until: time.Now().Add(time.Hour)}
		undo := token.Revocation{TokenID: "one", Undone: true, At: time.Now(), Until: time.Now().Add(time.Minute)}
		for _, known := range []token.Revocation{r, undo} {
			if _, err := l.Add(known); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(59 * time.Minute)
		l.Sweep()
		if fresh, err := l.Add(r); fresh || err != nil || l.Check(claimsIssued("one", time.Now())) {
			t.Errorf("revoked again by what was undone: %v, %v", fresh, err)
		}
		time.Sleep(time.Minute)
		l.Sweep()
		if n := l.Len(); n != 0 {
			t.Errorf("%d entries are left", n)
		}
	})
}

func TestRevocations_orderAfterWhatIsKnown(t *testing.T) {
	l := token.NewRevocations(0, nil)
	ahead := time.UnixMilli(time.Now().Add(time.Minute).UnixMilli()) // the clock of another node
	if _, err := l.Add(token.Revocation{User: me, At: ahead, Until: ahead.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	undo := token.Revocation{User: me, Undone: true, Until: ahead.Add(time.Hour)}
	if !l.Order(&undo) || !undo.At.After(ahead) {
		t.Errorf("ordered at %v, want after %v", undo.At, ahead)
	}
	if _, err := l.Add(undo); err != nil || l.Check(claimsIssued("", time.Now())) {
		t.Errorf("still revoked, %v", err)
	}
	again := token.Revocation{User: me, Until: ahead.Add(time.Hour)}
	if l.Order(&again) {
		t.Error("something is in force after it was undone")
	}
	if fresh, err := l.Add(again); !fresh || err != nil {
		t.Errorf("revoked again: %v, %v", fresh, err)
	}
}

// Nodes restore what the store has lost. They must not restore what another node undid, also if they missed that.
func TestSharedRevocations_areUndoneOnAllNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memoryStore{}
		a, b := newSharing(t, store), newSharing(t, store)
		a.run(t)
		b.run(t)
		synctest.Wait()
		revoke := func(s *sharing, r token.Revocation) error {
			s.list.Order(&r)
			r.Until = time.UnixMilli(time.Now().UnixMilli()).Add(time.Hour)
			if _, err := s.list.Add(r); err != nil {
				t.Fatal(err)
			}
			return s.Share(t.Context(), r)
		}
		expect := func(when string, want bool, nodes ...*sharing) {
			t.Helper()
			time.Sleep(25 * time.Second) // two readings
			synctest.Wait()
			for i, s := range nodes {
				if got := s.list.Check(claimsIssued("", time.Now())); got != want {
					t.Errorf("%s: on node %d revoked: %v", when, i, got)
				}
			}
		}
		if err := revoke(a, token.Revocation{User: me}); err != nil {
			t.Fatal(err)
		}
		expect("revoked", true, a, b)
		if err := revoke(b, token.Revocation{User: me, Undone: true}); err != nil {
			t.Fatal(err)
		}
		expect("undone", false, a, b)
		count := len(store.members)
		time.Sleep(time.Minute)
		if n := len(store.members); n != count {
			t.Errorf("the store has %d members a minute later, had %d", n, count)
		}

		late := newSharing(t, store)
		late.run(t)
		expect("a node starts later", false, a, b, late)
		if n := len(late.rounds()); n != 0 {
			t.Errorf("a node that starts later ended connections in %d rounds", n)
		}

		store.set(true)
		if err := revoke(a, token.Revocation{User: me}); !errors.Is(err, token.ErrNotShared) {
			t.Errorf("revoked while the store is away: %v", err)
		}
		if err := revoke(a, token.Revocation{User: me, Undone: true}); !errors.Is(err, token.ErrNotShared) {
			t.Errorf("undone while the store is away: %v", err)
		}
		store.set(false)
		expect("undone while the store was away", false, a, b, late)

		store.mu.Lock()
		clear(store.members)
		store.mu.Unlock()
		expect("the store has lost everything", false, a, b, late)

		// A back end revokes again, and knows nothing of it.
		message := []byte(`{"user":"` + me.String() + `"}`)
		for _, s := range []*sharing{a, b, late} {
			if err := s.Receive(message); err != nil {
				t.Fatal(err)
			}
		}
		expect("revoked again by a back end", true, a, b, late)
	})
}
