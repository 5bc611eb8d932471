package token_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// revocationTarget is a token or a user, whose revocations end at the same time and have the same time of issue.
type revocationTarget struct {
	token         string
	user          events.ID
	before, until time.Time
}

// modelRevocations keeps all revocations, and decides by all of them.
type modelRevocations []token.Revocation

// revoked reports whether a revocation covers the claims, and none that undoes it was ordered at its time or later.
func (m modelRevocations) revoked(c *token.Claims, now time.Time) bool {
	return slices.ContainsFunc(m, func(r token.Revocation) bool {
		undone := slices.ContainsFunc(m, func(other token.Revocation) bool {
			return other.Undone && other.TokenID == r.TokenID && other.User == r.User && !r.At.After(other.At)
		})
		return now.Before(r.Until) && r.Covers(c) && !undone
	})
}

// of returns those of the token or user of a revocation.
func (m modelRevocations) of(r *token.Revocation) (same modelRevocations) {
	for _, other := range m {
		if other.TokenID == r.TokenID && other.User == r.User {
			same = append(same, other)
		}
	}
	return same
}

// targets returns the tokens and users with something that lasts.
func (m modelRevocations) targets(now time.Time) map[revocationTarget]bool {
	all := map[revocationTarget]bool{}
	for _, r := range m {
		if now.Before(r.Until) {
			key := revocationTarget{token: r.TokenID}
			if r.TokenID == "" {
				key.user = r.User
			}
			all[key] = true
		}
	}
	return all
}

// revocationWorld makes random revocations, and the claims of all tokens that they could apply to.
type revocationWorld struct {
	*rand.Rand
	begin   time.Time
	targets []revocationTarget
	claims  []*token.Claims
}

func newRevocationWorld(seed uint64) *revocationWorld {
	w := &revocationWorld{Rand: rand.New(rand.NewPCG(seed, 0)), begin: time.UnixMilli(time.Now().UnixMilli())}
	for i := range 3 {
		until := func() time.Time { return w.begin.Add(time.Duration(20+w.IntN(100)) * time.Second) }
		user := events.ID{byte(i + 1)}
		w.targets = append(w.targets,
			revocationTarget{token: fmt.Sprint("token", i), until: until()},
			revocationTarget{user: user, before: w.begin, until: until()},
		)
		for n, issued := range []time.Time{w.begin.Add(-time.Second), w.begin, {}} {
			w.claims = append(w.claims,
				&token.Claims{User: user, TokenID: fmt.Sprint("token", (i+n)%3), IssuedAt: issued},
				&token.Claims{User: user, IssuedAt: issued},
			)
		}
	}
	return w
}

func (w *revocationWorld) revocation() token.Revocation {
	t := &w.targets[w.IntN(len(w.targets))]
	r := token.Revocation{TokenID: t.token, User: t.user, Until: t.until}
	if w.IntN(5) > 0 {
		r.At = w.begin.Add(time.Duration(w.IntN(30)) * time.Second)
	}
	switch {
	case w.IntN(3) == 0 && !r.At.IsZero():
		r.Undone = true
	case t.token == "" && w.IntN(2) == 0:
		r.Before = t.before
	}
	return r
}

// TestRevocations_agreeWithModel compares a list with all revocations that came, in whatever order: which tokens are
// revoked, whether a revocation changes that, what is counted, and what another node makes of the list.
func TestRevocations_agreeWithModel(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			w, registry := newRevocationWorld(seed), prometheus.NewPedanticRegistry()
			l := token.NewRevocations(6, registry)
			var m modelRevocations
			for step := range 60 {
				now := time.Now()
				if w.IntN(5) == 0 {
					time.Sleep(time.Duration(w.IntN(10)) * time.Second)
					continue
				}
				r := w.revocation()
				if w.IntN(4) == 0 {
					w.checkOrder(t, l, m, r)
				}
				before := w.revoked(m.of(&r), now)
				if now.Before(r.Until) {
					m = append(m, r)
				}
				changed := !slices.Equal(before, w.revoked(m.of(&r), now))
				if fresh, err := l.Add(r); err != nil || fresh != (changed && !r.Undone) {
					t.Fatalf("seed %d, step %d: %+v is fresh: %v, %v, after %+v", seed, step, r, fresh, err, m.of(&r))
				}
				after := w.revoked(m, now)
				if w.IntN(3) == 0 {
					l.Sweep()
					if n, want := l.Len(), len(m.targets(now)); n != want {
						t.Fatalf("seed %d, step %d: %d tokens and users, want %d", seed, step, n, want)
					}
				}
				if n := rtetest.MustReadMetric(t, registry, "rte_authz_revocations"); n != float64(l.Len()) {
					t.Fatalf("seed %d, step %d: %v are counted, want %d", seed, step, n, l.Len())
				}
				for name, list := range map[string]*token.Revocations{"here": l, "on another node": w.copyOf(t, l)} {
					for i, c := range w.claims {
						if got := list.Check(c); got != after[i] {
							t.Fatalf("seed %d, step %d, %s: %+v is revoked: %v, want %v, after %+v", seed, step, name, c, got,
								after[i], m)
						}
					}
				}
			}
			if _, err := l.Add(token.Revocation{TokenID: "another", Until: time.Now().Add(time.Hour)}); l.Len() > 6 ||
				errors.Is(err, token.ErrRevocationsFull) != (len(m.targets(time.Now())) == 6) {
				t.Errorf("seed %d: %v with %d of 6", seed, err, l.Len())
			}
		})
	}
}

// checkOrder checks that a new order comes after all that is known about its token or user.
func (w *revocationWorld) checkOrder(t *testing.T, l *token.Revocations, m modelRevocations, r token.Revocation) {
	t.Helper()
	r.Undone, r.Before = false, time.Time{}
	now := time.Now()
	known := l.Order(&r)
	for _, other := range m.of(&r) {
		if now.Before(other.Until) && !r.At.After(other.At) {
			t.Fatalf("ordered at %v, not after %v", r.At, other.At)
		}
	}
	if want := slices.Contains(w.revoked(m.of(&r), now), true); r.At.Before(now) || known != want {
		t.Fatalf("ordered at %v, something is in force: %v, want %v", r.At, known, want)
	}
}

// revoked reports for all claims whether they are revoked.
func (w *revocationWorld) revoked(m modelRevocations, now time.Time) (all []bool) {
	for _, c := range w.claims {
		all = append(all, m.revoked(c, now))
	}
	return all
}

// copyOf makes the list of another node, which gets everything in another order.
func (w *revocationWorld) copyOf(t *testing.T, l *token.Revocations) *token.Revocations {
	t.Helper()
	other := token.NewRevocations(0, nil)
	all := l.All()
	w.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, r := range all {
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var read token.Revocation
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatal(err)
		}
		if _, err := other.Add(read); err != nil {
			t.Fatal(err)
		}
	}
	return other
}
