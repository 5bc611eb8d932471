package token

import (
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rte-server/rte-server/internal/events"
)

// DefaultMaxRevocations is the largest number of revocations in a list.
const DefaultMaxRevocations = 100_000

// ErrRevocationsFull means that a revocation was not added, because the list is full of revocations in force.
var ErrRevocationsFull = errors.New("list of revocations is full")

// Revocation invalidates tokens before they expire: the token with an id, or the tokens of a user.
type Revocation struct {
	TokenID string    // jti; empty: by user
	User    events.ID // used if TokenID is empty
	// Before, with User, revokes the tokens issued before it and the tokens without a time of issue. Zero revokes all
	// tokens of the user, future ones included.
	Before time.Time
	// Until is the end of the revocation: the revoked tokens have expired by then.
	Until time.Time
}

// Covers reports whether the revocation applies to the token of the claims.
func (r *Revocation) Covers(c *Claims) bool {
	if r.TokenID != "" {
		return r.TokenID == c.TokenID
	}
	return r.User == c.User && (r.Before.IsZero() || c.IssuedAt.Before(r.Before))
}

// member returns the form of the revocation in a store, which keeps Until separately: equal revocations are equal
// texts.
func (r *Revocation) member() ([]byte, error) {
	without := *r
	without.Until = time.Time{}
	return json.Marshal(without)
}

// revocationMessage is the JSON form of a revocation, between nodes, in Redis and in requests of operators. Times are
// in seconds since 1970, as in tokens.
type revocationMessage struct {
	TokenID string  `json:"jti,omitempty"`
	User    string  `json:"user,omitempty"`
	Before  float64 `json:"before,omitempty"`
	Until   float64 `json:"until,omitempty"`
}

// MarshalJSON writes {"jti": ...} or {"user": ..., "before": ...}, with "until".
func (r Revocation) MarshalJSON() ([]byte, error) {
	m := revocationMessage{TokenID: r.TokenID, Before: seconds(r.Before), Until: seconds(r.Until)}
	if r.TokenID == "" {
		m.User = r.User.String()
	}
	return json.Marshal(m)
}

// UnmarshalJSON reads the form that MarshalJSON writes. It must have either a token id or a user.
func (r *Revocation) UnmarshalJSON(data []byte) error {
	var m revocationMessage
	if json.Unmarshal(data, &m) != nil {
		return errors.New("revocation: not a JSON object of the documented form")
	}
	read := Revocation{TokenID: m.TokenID}
	var ok bool
	switch {
	case (m.TokenID == "") == (m.User == ""):
		return errors.New("revocation: want either jti or user")
	case len(m.TokenID) > maxTokenID:
		return errors.New("revocation: jti: too long")
	case m.TokenID != "" && m.Before != 0:
		return errors.New("revocation: before: goes with user")
	}
	if m.User != "" {
		if read.User, ok = events.ParseID(m.User); !ok {
			return errors.New("revocation: user: not a GUID")
		}
	}
	if read.Before, ok = instant(m.Before); !ok {
		return errors.New("revocation: before: out of range")
	}
	if read.Until, ok = instant(m.Until); !ok {
		return errors.New("revocation: until: out of range")
	}
	*r = read
	return nil
}

func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

func instant(seconds float64) (time.Time, bool) {
	if seconds < 0 || seconds > lastSecond {
		return time.Time{}, false
	}
	if seconds == 0 {
		return time.Time{}, true
	}
	return time.UnixMilli(int64(seconds * 1000)), true
}

// Revocations is the list of the revocations that a node knows. It may be used from any goroutine.
type Revocations struct {
	limit   int
	metrics *revocationMetrics
	any     atomic.Bool // false: the list is empty, so Check needs no lock

	mu       sync.RWMutex
	byToken  map[string]time.Time         // guarded by mu: until, by jti
	byUser   map[events.ID]userRevocation // guarded by mu
	sweepDue time.Time                    // guarded by mu: no entry expires before it
}

// userRevocation is the union of the revocations of a user.
type userRevocation struct {
	before      time.Time // zero: no token by its time of issue
	beforeUntil time.Time
	allUntil    time.Time // zero or past: not all tokens
}

// NewRevocations makes an empty list of at most limit entries; 0: DefaultMaxRevocations.
func NewRevocations(limit int, reg prometheus.Registerer) *Revocations {
	if limit == 0 {
		limit = DefaultMaxRevocations
	}
	m := newRevocationMetrics(reg)
	m.capacity.Set(float64(limit))
	return &Revocations{
		limit: limit, metrics: m, byToken: map[string]time.Time{}, byUser: map[events.ID]userRevocation{},
	}
}

// Add puts a revocation into force and ignores one that has ended. fresh reports whether it applies to tokens that were
// not revoked before. The error is ErrRevocationsFull.
func (l *Revocations) Add(r Revocation) (fresh bool, err error) {
	now := time.Now()
	if !r.Until.After(now) {
		return false, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	tokenUntil, token := l.byToken[r.TokenID]
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
		fresh = !now.Before(tokenUntil)
		l.byToken[r.TokenID] = later(tokenUntil, r.Until)
	} else {
		fresh = !ofUser.includes(&r, now)
		l.byUser[r.User] = ofUser.with(&r)
	}
	if l.sweepDue.IsZero() || r.Until.Before(l.sweepDue) {
		l.sweepDue = r.Until
	}
	l.any.Store(true)
	l.metrics.length.Set(float64(l.lengthLocked()))
	return fresh, nil
}

// Check reports whether the token of the claims is revoked.
func (l *Revocations) Check(c *Claims) (revoked bool) {
	if !l.any.Load() {
		return false
	}
	now := time.Now()
	l.mu.RLock()
	defer l.mu.RUnlock()
	if c.TokenID != "" && now.Before(l.byToken[c.TokenID]) {
		return true
	}
	u, ok := l.byUser[c.User]
	return ok && (now.Before(u.allUntil) || now.Before(u.beforeUntil) && c.IssuedAt.Before(u.before))
}

// Len returns the number of revocations in force, including some that have just ended.
func (l *Revocations) Len() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.lengthLocked()
}

// All returns the revocations in force: of each user at most one by time of issue and one of all tokens.
func (l *Revocations) All() []Revocation {
	l.mu.RLock()
	defer l.mu.RUnlock()
	all := make([]Revocation, 0, l.lengthLocked())
	for id, until := range l.byToken {
		all = append(all, Revocation{TokenID: id, Until: until})
	}
	for id, u := range l.byUser {
		if !u.before.IsZero() {
			all = append(all, Revocation{User: id, Before: u.before, Until: u.beforeUntil})
		}
		if !u.allUntil.IsZero() {
			all = append(all, Revocation{User: id, Until: u.allUntil})
		}
	}
	now := time.Now()
	return slices.DeleteFunc(all, func(r Revocation) bool { return !r.Until.After(now) })
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
	keep := func(until time.Time) {
		if l.sweepDue.IsZero() || until.Before(l.sweepDue) {
			l.sweepDue = until
		}
	}
	for id, until := range l.byToken {
		if now.Before(until) {
			keep(until)
		} else {
			delete(l.byToken, id)
		}
	}
	for id, u := range l.byUser {
		if until := later(u.allUntil, u.beforeUntil); now.Before(until) {
			keep(until)
		} else {
			delete(l.byUser, id)
		}
	}
	l.any.Store(l.lengthLocked() > 0)
	l.metrics.length.Set(float64(l.lengthLocked()))
}

func (l *Revocations) lengthLocked() int { return len(l.byToken) + len(l.byUser) }

// includes reports whether all tokens of a revocation by user are revoked already at a time.
func (u userRevocation) includes(r *Revocation, now time.Time) bool {
	return now.Before(u.allUntil) || !r.Before.IsZero() && now.Before(u.beforeUntil) && !r.Before.After(u.before)
}

// with returns the union of u and a revocation by user.
func (u userRevocation) with(r *Revocation) userRevocation {
	if r.Before.IsZero() {
		u.allUntil = later(u.allUntil, r.Until)
	} else {
		u.before, u.beforeUntil = later(u.before, r.Before), later(u.beforeUntil, r.Until)
	}
	return u
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
