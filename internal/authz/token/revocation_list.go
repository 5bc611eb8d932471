package token

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rte-server/rte-server/internal/events"
)

// Revocations is the list of the revocations that a node knows. It may be used from any goroutine.
type Revocations struct {
	limit   int
	metrics *revocationMetrics
	any     atomic.Bool // false: the list is empty, so Check needs no lock

	mu       sync.RWMutex
	byToken  map[string]tokenRevocation   // guarded by mu; by jti
	byUser   map[events.ID]userRevocation // guarded by mu
	sweepDue time.Time                    // guarded by mu: no entry expires before it
}

// revocationPart is a revocation in force: when it was ordered and when it ends. Zero: none.
type revocationPart struct{ at, until time.Time }

// with returns the union of two.
func (p revocationPart) with(r *Revocation) revocationPart {
	return revocationPart{later(p.at, r.At), later(p.until, r.Until)}
}

// after returns p, or none if it was ordered until a time.
func (p revocationPart) after(undone time.Time) revocationPart {
	if undone.IsZero() || p.at.After(undone) {
		return p
	}
	return revocationPart{}
}

// tokenRevocation is what is known about a token.
type tokenRevocation struct {
	all    revocationPart
	undone revocationPart
}

// userRevocation is the union of what is known about a user.
type userRevocation struct {
	tokenRevocation

	before time.Time      // zero: no token by its time of issue
	issued revocationPart // of before
}

// NewRevocations makes an empty list of at most limit entries; 0: DefaultMaxRevocations.
func NewRevocations(limit int, reg prometheus.Registerer) *Revocations {
	if limit == 0 {
		limit = DefaultMaxRevocations
	}
	m := newRevocationMetrics(reg)
	m.capacity.Set(float64(limit))
	return &Revocations{
		limit: limit, metrics: m, byToken: map[string]tokenRevocation{}, byUser: map[events.ID]userRevocation{},
	}
}

// Add puts a revocation into force, or undoes those before it, and ignores one that has ended or was undone. fresh
// reports whether it applies to tokens that were not revoked before. The error is ErrRevocationsFull.
func (l *Revocations) Add(r Revocation) (fresh bool, err error) {
	now := time.Now()
	if !r.Until.After(now) {
		return false, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	ofToken, token := l.byToken[r.TokenID]
	ofUser, user := l.byUser[r.User]
	known := r.TokenID != "" && token || r.TokenID == "" && user
	if !known && l.lengthLocked() >= l.limit {
		l.sweepLocked(now)
		if l.lengthLocked() >= l.limit {
			l.metrics.refused.Inc()
			return false, ErrRevocationsFull
		}
	}
	if r.TokenID != "" {
		fresh = ofToken.add(&r, now)
		l.byToken[r.TokenID] = ofToken
	} else {
		fresh = ofUser.add(&r, now)
		l.byUser[r.User] = ofUser
	}
	if l.sweepDue.IsZero() || r.Until.Before(l.sweepDue) {
		l.sweepDue = r.Until
	}
	l.any.Store(true)
	l.metrics.length.Set(float64(l.lengthLocked()))
	return fresh, nil
}

// supersedes reports whether a revocation was undone. If so, it keeps that for as long as the revocation lasts.
func (t *tokenRevocation) supersedes(r *Revocation) bool {
	if t.undone.at.IsZero() || r.At.After(t.undone.at) {
		return false
	}
	t.undone.until = later(t.undone.until, r.Until)
	return true
}

// add adds what is known about a token. fresh is the result of Revocations.Add.
func (t *tokenRevocation) add(r *Revocation, now time.Time) (fresh bool) {
	switch {
	case r.Undone:
		t.undone = t.undone.with(r)
		if t.all.after(t.undone.at).at.IsZero() {
			t.undone.until = later(t.undone.until, t.all.until)
		}
		t.all = t.all.after(t.undone.at)
		return false
	case t.supersedes(r):
		return false
	}
	fresh = !now.Before(t.all.until)
	t.all = t.all.with(r)
	return fresh
}

// add adds what is known about a user. fresh is the result of Revocations.Add.
func (u *userRevocation) add(r *Revocation, now time.Time) (fresh bool) {
	switch {
	case r.Undone:
		u.undone.until = later(u.undone.until, u.issued.until)
		u.tokenRevocation.add(r, now)
		if u.issued = u.issued.after(u.undone.at); u.issued == (revocationPart{}) {
			u.before = time.Time{}
		}
		return false
	case u.supersedes(r):
		return false
	}
	if r.Before.IsZero() {
		return u.tokenRevocation.add(r, now)
	}
	fresh = !now.Before(u.all.until) && (!now.Before(u.issued.until) || r.Before.After(u.before))
	u.before, u.issued = later(u.before, r.Before), u.issued.with(r)
	return fresh
}

// Check reports whether the token of the claims is revoked.
func (l *Revocations) Check(c *Claims) (revoked bool) {
	if !l.any.Load() {
		return false
	}
	now := time.Now()
	l.mu.RLock()
	defer l.mu.RUnlock()
	if c.TokenID != "" && now.Before(l.byToken[c.TokenID].all.until) {
		return true
	}
	u, ok := l.byUser[c.User]
	return ok && (now.Before(u.all.until) || now.Before(u.issued.until) && c.IssuedAt.Before(u.before))
}

// Order sets At of a revocation to now, or to just after what is known about the token or the user: the clocks of nodes
// differ. known reports whether something is in force.
func (l *Revocations) Order(r *Revocation) (known bool) {
	now := time.Now()
	l.mu.RLock()
	u := l.byUser[r.User]
	if r.TokenID != "" {
		u = userRevocation{tokenRevocation: l.byToken[r.TokenID]}
	}
	l.mu.RUnlock()
	r.At = time.UnixMilli(now.UnixMilli()) // as it will be read
	if latest := later(later(u.all.at, u.issued.at), u.undone.at); !latest.Before(r.At) {
		r.At = latest.Add(time.Millisecond)
	}
	return now.Before(u.all.until) || now.Before(u.issued.until)
}

// undone reports whether revocations of the token or of the user of r were undone.
func (l *Revocations) undone(r *Revocation) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if r.TokenID != "" {
		return !l.byToken[r.TokenID].undone.at.IsZero()
	}
	return !l.byUser[r.User].undone.at.IsZero()
}

// Len returns the number of tokens and users with revocations in force or undone, including some that have just ended.
func (l *Revocations) Len() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.lengthLocked()
}

// All returns the revocations in force and what was undone: of each user at most one by time of issue, one of all
// tokens and one that undoes.
func (l *Revocations) All() []Revocation {
	now := time.Now()
	l.mu.RLock()
	defer l.mu.RUnlock()
	all := make([]Revocation, 0, l.lengthLocked())
	add := func(r Revocation, part revocationPart) {
		if part.until.After(now) {
			r.At, r.Until = part.at, part.until
			all = append(all, r)
		}
	}
	for id, t := range l.byToken {
		add(Revocation{TokenID: id}, t.all)
		add(Revocation{TokenID: id, Undone: true}, t.undone)
	}
	for id, u := range l.byUser {
		add(Revocation{User: id, Before: u.before}, u.issued)
		add(Revocation{User: id}, u.all)
		add(Revocation{User: id, Undone: true}, u.undone)
	}
	return all
}

// Sweep removes the revocations that have ended. The owner of the list calls it periodically.
func (l *Revocations) Sweep() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweepLocked(time.Now())
}

func (l *Revocations) sweepLocked(now time.Time) {
	if now.Before(l.sweepDue) {
		return
	}
	l.sweepDue = time.Time{}
	keep := func(until time.Time) bool {
		if !now.Before(until) {
			return false
		}
		if l.sweepDue.IsZero() || until.Before(l.sweepDue) {
			l.sweepDue = until
		}
		return true
	}
	for id, t := range l.byToken {
		if !keep(later(t.all.until, t.undone.until)) {
			delete(l.byToken, id)
		}
	}
	for id, u := range l.byUser {
		if !keep(later(later(u.all.until, u.issued.until), u.undone.until)) {
			delete(l.byUser, id)
		}
	}
	l.any.Store(l.lengthLocked() > 0)
	l.metrics.length.Set(float64(l.lengthLocked()))
}

func (l *Revocations) lengthLocked() int { return len(l.byToken) + len(l.byUser) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
