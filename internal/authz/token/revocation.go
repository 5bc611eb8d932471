package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// DefaultMaxRevocations is the largest number of revocations in a list.
const DefaultMaxRevocations = 100_000

// ErrRevocationsFull means that a revocation was not added, because the list is full of revocations in force.
var ErrRevocationsFull = errors.New("list of revocations is full")

// Revocation invalidates tokens before they expire: the token with an id, or the tokens of a user. An undone one makes
// them good again.
type Revocation struct {
	TokenID string    // jti; empty: by user
	User    events.ID // used if TokenID is empty
	// Before, with User, revokes the tokens issued before it and the tokens without a time of issue. Zero revokes all
	// tokens of the user, future ones included.
	Before time.Time
	// Undone undoes the revocations of the token or of the user that were ordered until At. It stays for as long as
	// they would: a node that was cut off may still bring one of them.
	Undone bool
	// At is when the revocation, or its end, was ordered; zero: not known, before anything that is known.
	At time.Time
	// Until is the end of the revocation: the revoked tokens have expired by then.
	Until time.Time
}

// Covers reports whether the revocation applies to the token of the claims.
func (r *Revocation) Covers(c *Claims) bool {
	switch {
	case r.Undone:
		return false
	case r.TokenID != "":
		return r.TokenID == c.TokenID
	default:
		return r.User == c.User && (r.Before.IsZero() || c.IssuedAt.Before(r.Before))
	}
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
	Undone  bool    `json:"undone,omitempty"`
	At      float64 `json:"at,omitempty"`
	Until   float64 `json:"until,omitempty"`
}

// MarshalJSON writes {"jti": ...} or {"user": ..., "before": ...}, with "undone", "at" and "until" if they are set.
func (r Revocation) MarshalJSON() ([]byte, error) {
	m := revocationMessage{
		TokenID: r.TokenID, Before: seconds(r.Before), Undone: r.Undone, At: seconds(r.At), Until: seconds(r.Until),
	}
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
	read := Revocation{TokenID: m.TokenID, Undone: m.Undone}
	switch {
	case (m.TokenID == "") == (m.User == ""):
		return errors.New("revocation: want either jti or user")
	case len(m.TokenID) > maxTokenID:
		return errors.New("revocation: jti: too long")
	case m.TokenID != "" && m.Before != 0:
		return errors.New("revocation: before: goes with user")
	case m.Undone && (m.Before != 0 || m.At == 0):
		return errors.New("revocation: undone: goes with at, without before")
	}
	var ok bool
	if m.User != "" {
		if read.User, ok = events.ParseID(m.User); !ok {
			return errors.New("revocation: user: not a GUID")
		}
	}
	for _, field := range []struct {
		name   string
		text   float64
		target *time.Time
	}{{"before", m.Before, &read.Before}, {"at", m.At, &read.At}, {"until", m.Until, &read.Until}} {
		if *field.target, ok = instant(field.text); !ok {
			return fmt.Errorf("revocation: %s: out of range", field.name)
		}
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
	return time.UnixMilli(int64(math.Round(seconds * 1000))), true
}
