package token

import (
	"errors"
)

// Error says why a token was refused, in one of the few words below: fit for a metric label and a log field.
// It never carries anything of the token.
type Error string

// The reasons for refusing a token. Verify returns one of them, possibly wrapped.
const (
	ErrMissing      Error = "missing"
	ErrTooLarge     Error = "too_large"
	ErrMalformed    Error = "malformed"
	ErrAlgorithm    Error = "bad_algorithm" //nolint:gosec // no credential: not in the list of allowed ones, "none" included
	ErrKey          Error = "unknown_key"   // no key that could have signed it
	ErrSignature    Error = "bad_signature"
	ErrExpired      Error = "expired"
	ErrNotYetValid  Error = "not_yet_valid"
	ErrIssuer       Error = "bad_issuer"
	ErrAudience     Error = "bad_audience"
	ErrClaims       Error = "bad_claims"   // a claim is absent, doubled or not what it must be
	ErrUnacceptable Error = "unacceptable" // the header asks for something that is not supported
	ErrRevoked      Error = "revoked"
)

// reasons are all reasons, for metrics.
var reasons = [...]Error{
	ErrMissing, ErrTooLarge, ErrMalformed, ErrAlgorithm, ErrKey, ErrSignature,
	ErrExpired, ErrNotYetValid, ErrIssuer, ErrAudience, ErrClaims,
	ErrUnacceptable, ErrRevoked,
}

// Error says in words what the reason is.
func (e Error) Error() string { return "token refused: " + string(e) }

// Reason is the word for the error of Verify: one of the constants above, or "malformed" for any other error.
func Reason(err error) string {
	if reason, ok := errors.AsType[Error](err); ok {
		return string(reason)
	}
	return string(ErrMalformed)
}
