package token

import (
	"errors"
	"fmt"
)

// Error is the reason for refusing a token, in one of the words below. It suits a metric label and a log field, and
// never contains any part of the token.
type Error string

// The reasons for refusing a token. Verify returns one of them, possibly wrapped.
const (
	ErrMissing      Error = "missing"
	ErrTooLarge     Error = "too_large"
	ErrMalformed    Error = "malformed"
	ErrAlgorithm    Error = "bad_algorithm" // not an accepted one, or "none"
	ErrKey          Error = "unknown_key"   // no known key fits
	ErrSignature    Error = "bad_signature"
	ErrExpired      Error = "expired"
	ErrNotYetValid  Error = "not_yet_valid"
	ErrIssuer       Error = "bad_issuer"
	ErrAudience     Error = "bad_audience"
	ErrClaims       Error = "bad_claims"   // a claim is absent, occurs twice, or has a wrong type or value
	ErrUnacceptable Error = "unacceptable" // the header requires something that is not supported
	ErrRevoked      Error = "revoked"
	// ErrUnavailable means that the keys of the issuer were never read, so the token can be neither accepted nor
	// refused.
	ErrUnavailable Error = "keys_unavailable"
)

// reasons are all reasons, for metrics.
var reasons = [...]Error{
	ErrMissing, ErrTooLarge, ErrMalformed, ErrAlgorithm, ErrKey, ErrSignature,
	ErrExpired, ErrNotYetValid, ErrIssuer, ErrAudience, ErrClaims,
	ErrUnacceptable, ErrRevoked, ErrUnavailable,
}

// Error returns the reason as a sentence.
func (e Error) Error() string {
	if e == ErrUnavailable {
		return "token not verified: no key of its issuer was ever read"
	}
	return "token refused: " + string(e)
}

// Reason returns the word for an error of Verify: one of the constants above, or "malformed" for any other error.
func Reason(err error) string {
	if reason, ok := errors.AsType[Error](err); ok {
		return string(reason)
	}
	return string(ErrMalformed)
}

// ClaimError is a reason for refusing a token that concerns one claim. The name of the claim comes from the
// configuration or a standard, never from the token.
type ClaimError struct {
	Reason  Error
	Claim   string
	Problem string // in words, without the value
}

// Error returns the reason, the name of the claim and the problem.
func (e *ClaimError) Error() string {
	return fmt.Sprintf("%v: claim %q: %s", e.Reason, e.Claim, e.Problem)
}

// Unwrap returns the reason.
func (e *ClaimError) Unwrap() error { return e.Reason }

// Claim returns the name of the claim that an error of Verify concerns; empty if it concerns none.
func Claim(err error) string {
	if e, ok := errors.AsType[*ClaimError](err); ok {
		return e.Claim
	}
	return ""
}

// badClaim refuses a token because of one claim.
func badClaim(name, problem string) error { return &ClaimError{ErrClaims, name, problem} }
