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

// DefaultMaxRevocations is how many revocations a node holds.
const DefaultMaxRevocations = 100_000

// ErrRevocationsFull says that a revocation was not taken: the list holds as many as it may that still matter.
var ErrRevocationsFull = errors.New("list of revocations is full")

// Revocation takes back tokens before they expire: the one with an id, or those of a user.
type Revocation struct {
	TokenID string    // jti; empty: by user
	User    events.ID // counts where TokenID is empty
	// Before, with User: tokens issued before it are revoked, and so are tokens that do not say when they were issued.
	// Zero: all tokens of the user, those of tomorrow included.
	Before time.Time
	// Until is when the revocation can be forgotten because the tokens it is about have expired.
	Until time.Time
}

// Covers says whether the revocation is about the token of the claims.
func (r *Revocation) Covers(c *Claims) bool {
	if r.TokenID != "" {
		return r.TokenID == c.TokenID
	}
	return r.User == c.User && (r.Before.IsZero() || c.IssuedAt.Before(r.Before))
}

// member is the revocation as it stands in a store, which has Until beside it: the same one is the same text.
func (r *Revocation) member() ([]byte, error) {
	without := *r
	without.Until = time.Time{}
	return json.Marshal(without)
}

// revocationMessage is the form of a revocation between nodes, in Redis and in requests of operators. Times are in
// seconds since 1970, as in tokens.
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

// UnmarshalJSON reads what MarshalJSON writes. It must name a token or a user and not both.
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

// Revocations are the revocations that a node knows. They may be used from any goroutine.
type Revocations struct {
	limit   int
	metrics *revocationMetrics
	any     atomic.Bool // false: there is none, and nobody has to take the lock to know

	mu       sync.RWMutex
	byToken  map[string]time.Time         // guarded by mu: until, by jti
	byUser   map[events.ID]userRevocation // guarded by mu
	sweepDue time.Time                    // guarded by mu: no entry expires before it
}

// userRevocation is what is revoked of a user: the union of what was asked for.
type userRevocation struct {
	before      time.Time // zero: nothing by issue time
	beforeUntil time.Time
	allUntil    time.Time // zero or past: not all
}

// NewRevocations makes an empty list for at most limit entries; 0: DefaultMaxRevocations.
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

// Add takes a revocation into force. One whose time is over is ignored. fresh says that it is about tokens that were not
// revoked before. The error is ErrRevocationsFull.
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

// Check says whether the token of the claims is revoked.
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

// Len is how many revocations are in force, or have just ended.
func (l *Revocations) Len() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.lengthLocked()
}

// All are the revocations in force: for each user at most one by issue time and one of all tokens.
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

// Sweep forgets what no longer matters. Whoever owns the list calls it from time to time.
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

// includes says whether all tokens that a revocation by user is about are revoked at a time.
func (u userRevocation) includes(r *Revocation, now time.Time) bool {
	return now.Before(u.allUntil) || !r.Before.IsZero() && now.Before(u.beforeUntil) && !r.Before.After(u.before)
}

// with is the union of u and a revocation by user.
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
