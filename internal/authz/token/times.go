package token

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// ErrNoTimes is the error of a token without an expiry.
var ErrNoTimes = errors.New("no expiry (exp)")

// ReadTimes returns the validity of a JWT: its start (zero: always) and its end. It does not check the signature: use
// it for messages to the bearer of the token, never for a decision.
func ReadTimes(text string) (from, until time.Time, err error) {
	var claims jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(text, &claims); err != nil {
		return from, until, fmt.Errorf("read token: %w", err)
	}
	if claims.ExpiresAt == nil {
		return from, until, ErrNoTimes
	}
	if claims.NotBefore != nil {
		from = claims.NotBefore.Time
	}
	return from, claims.ExpiresAt.Time, nil
}
