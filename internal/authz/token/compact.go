package token

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// base64Strict is how the segments of tokens are written: without padding and without loose bits at the end, as
// jwt.WithStrictDecoding has it.
var base64Strict = base64.RawURLEncoding.Strict()

// compact is a token in compact form (RFC 7515, section 7.1), read but not yet believed.
type compact struct {
	segment   string // of the header, as it is written
	header    *header
	payload   payload
	signed    string // what the signature is of
	signature []byte
}

// parseToken takes a token apart. The header comes from the known ones if it is among them. The error is a Error;
// of several mistakes it is the first one in this order: the form of header and claims, the claims that every token can
// have, the name of the algorithm, the form of the signature.
func parseToken(text string, known *knownHeaders) (*compact, error) {
	first, rest, _ := strings.Cut(text, ".")
	second, third, ok := strings.Cut(rest, ".")
	if !ok || strings.Contains(third, ".") {
		return nil, ErrMalformed
	}
	t := &compact{segment: first, signed: text[:len(first)+1+len(second)]}
	var err error
	if t.header = known.get(first); t.header == nil {
		if t.header, err = parseHeader(first); err != nil {
			return nil, err
		}
	}
	claims, err := base64Strict.DecodeString(second)
	if err != nil || !json.Valid(claims) {
		return nil, ErrMalformed
	}
	if t.payload.read(claims) != nil {
		return nil, ErrClaims
	}
	if t.header.method == nil {
		return nil, ErrAlgorithm
	}
	if t.signature, err = base64Strict.DecodeString(third); err != nil {
		return nil, ErrMalformed
	}
	return t, nil
}

// signedBy says whether one of the keys, which must fit the algorithm, signed the token.
func (t *compact) signedBy(keys []jwt.VerificationKey) bool {
	for _, key := range keys {
		if t.header.method.Verify(t.signed, t.signature, key) == nil {
			return true
		}
	}
	return false
}
