package token

import (
	"bytes"
	"errors"
	"slices"

	"github.com/golang-jwt/jwt/v5"
)

// VerifyByLibrary is Verify with the parser of the JWT library, without the caches of tokens and headers. parseCompact
// must accept and refuse the same tokens, for the same reasons.
func (v *Verifier) VerifyByLibrary(text string) (*Claims, error) {
	switch {
	case text == "":
		return nil, ErrMissing
	case len(text) > v.options.MaxSize:
		return nil, ErrTooLarge
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods(v.secrets.Load().algorithms), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation(),
	)
	p := &libraryPayload{}
	var members map[string]any
	token, err := parser.ParseWithClaims(text, p, func(token *jwt.Token) (any, error) {
		members = token.Header
		keyID, _ := members["kid"].(string)
		var stale []*keySet
		keys, err := v.keys(v.secrets.Load(), &header{method: token.Method, keyID: keyID}, p.issuer, &stale)
		return jwt.VerificationKeySet{Keys: keys}, err
	})
	if err != nil {
		return nil, v.libraryReason(token, err)
	}
	if !acceptable(members) {
		return nil, ErrUnacceptable
	}
	return v.claims(&p.payload)
}

// libraryPayload is a payload that the library's parser fills in.
type libraryPayload struct{ payload }

func (p *libraryPayload) UnmarshalJSON(data []byte) error { return p.read(bytes.Clone(data)) }

// libraryReason returns the error of this package for an error of the library's parser.
func (v *Verifier) libraryReason(token *jwt.Token, err error) error {
	if own, ok := errors.AsType[*ClaimError](err); ok {
		return own
	}
	if errors.Is(err, ErrClaims) {
		return ErrClaims
	}
	if own, ok := errors.AsType[Error](err); ok {
		return own
	}
	switch {
	case errors.Is(err, jwt.ErrTokenMalformed):
		return ErrMalformed
	case token != nil && (token.Method == nil || !slices.Contains(v.secrets.Load().algorithms, token.Method.Alg())):
		return ErrAlgorithm
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return ErrSignature
	default:
		return err // the parser has no other kind
	}
}
