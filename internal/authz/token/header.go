package token

import (
	"encoding/json"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/golang-jwt/jwt/v5"
)

// Bounds of knownHeaders. The header of an issuer changes when it uses another key.
const (
	maxKnownHeaders = 16
	maxKnownHeader  = 1 << 10 // bytes
)

// header is the part of the header of a token that the server uses: the algorithm and the name of the key. Nothing else
// in it locates a key: jku, jwk, x5u and x5c are ignored, and kid is only compared.
type header struct {
	method     jwt.SigningMethod // nil: the JWT library does not know it
	keyID      string
	acceptable bool
}

// parseHeader reads the first segment of a token. The error is ErrMalformed.
func parseHeader(segment string) (*header, error) {
	data, err := base64Strict.DecodeString(segment)
	if err != nil {
		return nil, ErrMalformed
	}
	var members map[string]any
	if err := json.Unmarshal(data, &members); err != nil {
		return nil, ErrMalformed
	}
	algorithm, _ := members["alg"].(string)
	keyID, _ := members["kid"].(string)
	return &header{method: jwt.GetSigningMethod(canonical(algorithm)), keyID: keyID, acceptable: acceptable(members)}, nil
}

// acceptable reports whether a header has no critical extension (RFC 7515, section 4.1.11), of which none is supported,
// and no type of a token that is no access token (RFC 8725, section 3.11).
func acceptable(members map[string]any) bool {
	if _, critical := members["crit"]; critical {
		return false
	}
	typ, given := members["typ"]
	if !given {
		return true
	}
	name, _ := typ.(string)
	switch strings.TrimPrefix(strings.ToLower(name), "application/") {
	case "jwt", "at+jwt":
		return true
	default:
		return false
	}
}

// knownHeaders caches the parsed headers of recently verified tokens, so that they are not parsed for every token. A
// header depends on its segment alone, so a change of keys does not invalidate it. The zero value is empty. The methods
// may be called from any goroutine.
type knownHeaders struct {
	list atomic.Pointer[[]knownHeader] // immutable, the oldest first
}

type knownHeader struct {
	segment string
	header  *header
}

// get returns the header of a segment, or nil.
func (k *knownHeaders) get(segment string) *header {
	if list := k.list.Load(); list != nil {
		for i := range *list {
			if (*list)[i].segment == segment {
				return (*list)[i].header
			}
		}
	}
	return nil
}

// put adds a header. Call it only for tokens with a valid signature, so that others cannot change the list. Of several
// concurrent calls one succeeds; the other headers are added with their next tokens.
func (k *knownHeaders) put(segment string, h *header) {
	before := k.list.Load()
	if len(segment) > maxKnownHeader || k.get(segment) != nil {
		return
	}
	var list []knownHeader
	if before != nil {
		list = slices.Clone((*before)[max(0, len(*before)+1-maxKnownHeaders):])
	}
	list = append(list, knownHeader{strings.Clone(segment), h}) // without the clone it would retain the whole token
	k.list.CompareAndSwap(before, &list)
}
