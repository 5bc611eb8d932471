package authz

import "errors"

// TokenError says why a token was refused, in one of the few words below: fit for a metric label and a log field.
// It never carries anything of the token.
type TokenError string

// The reasons for refusing a token. Verify returns one of them, possibly wrapped.
const (
	ErrTokenMissing      TokenError = "missing"
	ErrTokenTooLarge     TokenError = "too_large"
	ErrTokenMalformed    TokenError = "malformed"
	ErrTokenAlgorithm    TokenError = "bad_algorithm" //nolint:gosec // no credential: not in the list of allowed ones, "none" included
	ErrTokenKey          TokenError = "unknown_key"   // no key that could have signed it
	ErrTokenSignature    TokenError = "bad_signature"
	ErrTokenExpired      TokenError = "expired"
	ErrTokenNotYetValid  TokenError = "not_yet_valid"
	ErrTokenBadIssuer    TokenError = "bad_issuer"
	ErrTokenBadAudience  TokenError = "bad_audience"
	ErrTokenBadClaims    TokenError = "bad_claims"   // a claim is absent, doubled or not what it must be
	ErrTokenUnacceptable TokenError = "unacceptable" // the header asks for something that is not supported
	ErrTokenRevoked      TokenError = "revoked"
)

// tokenErrors are all reasons, for metrics.
var tokenErrors = [...]TokenError{
	ErrTokenMissing, ErrTokenTooLarge, ErrTokenMalformed, ErrTokenAlgorithm, ErrTokenKey, ErrTokenSignature,
	ErrTokenExpired, ErrTokenNotYetValid, ErrTokenBadIssuer, ErrTokenBadAudience, ErrTokenBadClaims,
	ErrTokenUnacceptable, ErrTokenRevoked,
}

// Error says in words what the reason is.
func (e TokenError) Error() string { return "token refused: " + string(e) }

// Reason is the word for the error of Verify: one of the constants above, or "malformed" for any other error.
func Reason(err error) string {
	if reason, ok := errors.AsType[TokenError](err); ok {
		return string(reason)
	}
	return string(ErrTokenMalformed)
}
