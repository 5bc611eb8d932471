package token

import (
	"encoding/json"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/golang-jwt/jwt/v5"
)

// Bounds of knownHeaders. An issuer writes a new header when it begins to use another key.
const (
	maxKnownHeaders = 16
	maxKnownHeader  = 1 << 10 // bytes
)

// header is what counts of the header of a token: the algorithm, and the name of the key. Nothing else in it says where
// to find the key: jku, jwk, x5u and x5c are not looked at, and kid is compared and nothing else.
type header struct {
	method     jwt.SigningMethod // nil: none that the JWT library has
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
	return &header{method: jwt.GetSigningMethod(algorithm), keyID: keyID, acceptable: acceptable(members)}, nil
}

// acceptable says whether a header leaves the meaning of the token alone: no critical extensions (RFC 7515, section
// 4.1.11), of which none is supported, and no type of token that is no access token (RFC 8725, section 3.11).
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

// knownHeaders are the headers of the last issuers and keys whose tokens were good, so that they are read once and not
// with every token. What they stand for is in the segment alone: keys may change, they stay. The zero value has none.
// Any goroutine may call the methods.
type knownHeaders struct {
	list atomic.Pointer[[]knownHeader] // never changed, the oldest first
}

type knownHeader struct {
	segment string
	header  *header
}

// get returns the header that was put for a segment; nil: none.
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

// put remembers a header. It is for headers of tokens whose signature is good: nobody else can make the list change.
// When several are put at once, all but one are forgotten, to be put again with the next token.
func (k *knownHeaders) put(segment string, h *header) {
	before := k.list.Load()
	if len(segment) > maxKnownHeader || k.get(segment) != nil {
		return
	}
	var list []knownHeader
	if before != nil {
		list = slices.Clone((*before)[max(0, len(*before)+1-maxKnownHeaders):])
	}
	list = append(list, knownHeader{strings.Clone(segment), h}) // a clone, or it would keep the whole token
	k.list.CompareAndSwap(before, &list)
}
