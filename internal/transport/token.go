package transport

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
)

// connID is the public id of a connection (N8).
type connID [16]byte

func newConnID() connID {
	var id connID
	_, _ = rand.Read(id[:]) // never fails: crypto/rand ends the process instead
	return id
}

// String returns the 22 characters that clients see.
func (id connID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

func parseConnID(text string) (id connID, ok bool) {
	if len(text) != base64.RawURLEncoding.EncodedLen(len(id)) {
		return id, false
	}
	n, err := base64.RawURLEncoding.Strict().Decode(id[:], []byte(text)) // passes over ends of lines
	return id, err == nil && n == len(id)
}

// The lengths of the parts of a connection token. Its MAC is a truncated HMAC-SHA-256: the token lives for seconds.
const (
	nodeLen = 4
	userLen = 8
	macLen  = 16
	tailLen = 1 + nodeLen + userLen + macLen
)

// tokens makes and checks connection tokens, in characters that need no escaping in a URL (N8): id "." expiry "." tail.
// The tail has the negotiate version, the node that made the token, a tag of the user, and a MAC over all of these. A
// token contains everything that another node needs to accept it, so negotiate stores nothing. It is tied to the user
// and not to the JWT, because clients fetch a new JWT for the WebSocket (1.2). A ticket may follow, see tickets.
type tokens struct {
	keys      atomic.Pointer[[][]byte] // the first makes tokens, all check them; of Handler.SetSecrets
	node      [nodeLen]byte            // made up by each process
	ttl       time.Duration
	tolerance time.Duration // of the clocks of other nodes
}

// connToken is an authentic connection token.
type connToken struct {
	id       connID
	version  int  // of negotiate; 0: the client has no other id
	resumes  bool // negotiate granted stateful reconnect
	expires  time.Time
	foreign  bool // another node made it
	sameUser bool // the claims shown with it are those of its user
}

// newTokens makes tokens without a key.
func newTokens(ttl, tolerance time.Duration) *tokens {
	t := &tokens{ttl: ttl, tolerance: tolerance}
	_, _ = rand.Read(t.node[:]) // never fails: crypto/rand ends the process instead
	return t
}

// deriveKeys derives the keys for a purpose from secrets that all nodes share. Without a secret the first key is
// random. Empty previous secrets have no key.
func deriveKeys(purpose string, secret []byte, previous [][]byte) (keys [][]byte, err error) {
	if len(secret) == 0 {
		secret = make([]byte, sha256.Size)
		_, _ = rand.Read(secret) // never fails: crypto/rand ends the process instead
	}
	for i, secret := range append([][]byte{secret}, previous...) {
		if i > 0 && len(secret) == 0 {
			continue
		}
		key, err := hkdf.Key(sha256.New, secret, nil, "rte-server "+purpose, sha256.Size)
		if err != nil {
			return nil, fmt.Errorf("derive key of %s: %w", purpose, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// resumesFlag is set in the byte of the version if negotiate granted stateful reconnect.
const resumesFlag = 0x80

// make returns a token for a connection of the user of claims, negotiated in the given version.
func (t *tokens) make(id connID, version int, resumes bool, claims *authz.Claims, now time.Time) string {
	expires := now.Add(t.ttl).UnixMilli()
	granted := byte(version) //nolint:gosec // 0 or 1
	if resumes {
		granted |= resumesFlag
	}
	tail := append(make([]byte, 0, tailLen), granted)
	tail = append(tail, t.node[:]...)
	key := (*t.keys.Load())[0]
	tail = append(tail, userTag(key, id, claims)...)
	tail = append(tail, tokenMAC(key, id, expires, tail)...)
	return id.String() + "." + strconv.FormatInt(expires, 36) + "." + base64.RawURLEncoding.EncodeToString(tail)
}

// parse checks a token that came with claims; ok is false if it is not authentic. It does not check the expiry.
func (t *tokens) parse(text string, claims *authz.Claims) (token connToken, ok bool) {
	id, expires, tail, ok := splitToken(text)
	if !ok {
		return connToken{}, false
	}
	content, mac := tail[:tailLen-macLen], tail[tailLen-macLen:]
	for _, key := range *t.keys.Load() {
		if subtle.ConstantTimeCompare(mac, tokenMAC(key, id, expires, content)) == 1 {
			return connToken{
				id:       id,
				version:  int(content[0] &^ resumesFlag),
				resumes:  content[0]&resumesFlag != 0,
				expires:  time.UnixMilli(expires),
				foreign:  [nodeLen]byte(content[1:]) != t.node,
				sameUser: subtle.ConstantTimeCompare(content[1+nodeLen:], userTag(key, id, claims)) == 1,
			}, true
		}
	}
	return connToken{}, false
}

// splitToken returns the parts of a token, without checking its MAC; ok is false if the token has another form. A token
// has one spelling, which other nodes and their logs may get as it is.
func splitToken(text string) (id connID, expires int64, tail []byte, ok bool) {
	text, _ = cutTicket(text)
	first, rest, _ := strings.Cut(text, ".")
	second, third, _ := strings.Cut(rest, ".")
	if id, ok = parseConnID(first); !ok {
		return connID{}, 0, nil, false
	}
	expires, err := strconv.ParseInt(second, 36, 64)
	if err != nil || strconv.FormatInt(expires, 36) != second {
		return connID{}, 0, nil, false
	}
	if len(third) != base64.RawURLEncoding.EncodedLen(tailLen) {
		return connID{}, 0, nil, false
	}
	tail, err = base64.RawURLEncoding.Strict().DecodeString(third)
	return id, expires, tail, err == nil && len(tail) == tailLen
}

// clockNoise is the difference of two clocks that is not worth a count.
const clockNoise = time.Second

// inTime reports whether a token may still be used, and whether that depends on the difference of two clocks. The token
// of this node ends exactly with its lifetime (N12). For the token of another node, both ends of its lifetime move by
// the tolerance.
func (t *tokens) inTime(token *connToken, now time.Time) (ok, clocksDiffer bool) {
	if !token.foreign {
		return token.expires.After(now), false
	}
	early, late := token.expires.Add(-t.ttl).Sub(now), now.Sub(token.expires)
	return early <= t.tolerance && late < t.tolerance, early > clockNoise || late >= 0
}

// tokenMAC returns the MAC of the parts of a token.
func tokenMAC(key []byte, id connID, expires int64, content []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(id[:])
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(expires))) //nolint:gosec // any bits will do
	mac.Write(content)
	return mac.Sum(nil)[:macLen]
}

// userTag ties a token to a user without naming the user.
func userTag(key []byte, id connID, claims *authz.Claims) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("user"))
	mac.Write(id[:])
	mac.Write(claims.User[:])
	return mac.Sum(nil)[:userLen]
}
