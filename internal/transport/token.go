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
	_, err := base64.RawURLEncoding.Strict().Decode(id[:], []byte(text))
	return id, err == nil
}

// macLen is the length of the truncated HMAC-SHA-256 in a connection token. The token lives for seconds.
const macLen = 16

// tokens makes and checks connection tokens: id "." expiry "." MAC, in characters that need no escaping in a URL (N8).
// A token contains everything that another node needs to accept it, so negotiate stores nothing. It is tied to the
// user and not to the JWT, because clients fetch a new JWT for the WebSocket (1.2).
type tokens struct {
	key []byte
	ttl time.Duration
}

// newTokens derives the key from the secret that all nodes share.
func newTokens(secret []byte, ttl time.Duration) (*tokens, error) {
	key, err := deriveKey(secret, "connection token")
	return &tokens{key, ttl}, err
}

// deriveKey derives the key for a purpose from the secret that all nodes share. Without a secret the key is random.
func deriveKey(secret []byte, purpose string) ([]byte, error) {
	if len(secret) == 0 {
		secret = make([]byte, sha256.Size)
		_, _ = rand.Read(secret) // never fails: crypto/rand ends the process instead
	}
	key, err := hkdf.Key(sha256.New, secret, nil, "rte-server "+purpose, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive key of %s: %w", purpose, err)
	}
	return key, nil
}

// make returns a token for a connection of the user of claims.
func (t *tokens) make(id connID, claims *authz.Claims, now time.Time) string {
	expires := now.Add(t.ttl).UnixMilli()
	mac := t.mac(id, expires, claims)
	return id.String() + "." + strconv.FormatInt(expires, 36) + "." + base64.RawURLEncoding.EncodeToString(mac)
}

// parse checks a token and returns its parts. It does not check whether the token has expired.
func (t *tokens) parse(token string, claims *authz.Claims) (id connID, expires time.Time, ok bool) {
	id, millis, mac, ok := splitToken(token)
	if !ok || subtle.ConstantTimeCompare(mac, t.mac(id, millis, claims)) != 1 {
		return connID{}, time.Time{}, false
	}
	return id, time.UnixMilli(millis), true
}

// splitToken returns the parts of a token, without checking its MAC; ok is false if the token has another form.
func splitToken(token string) (id connID, expires int64, mac []byte, ok bool) {
	first, rest, _ := strings.Cut(token, ".")
	second, third, _ := strings.Cut(rest, ".")
	if id, ok = parseConnID(first); !ok {
		return connID{}, 0, nil, false
	}
	expires, err := strconv.ParseInt(second, 36, 64)
	if err != nil {
		return connID{}, 0, nil, false
	}
	mac, err = base64.RawURLEncoding.Strict().DecodeString(third)
	return id, expires, mac, err == nil && len(mac) == macLen
}

// mac returns the MAC of the parts of a token and its user.
func (t *tokens) mac(id connID, expires int64, claims *authz.Claims) []byte {
	mac := hmac.New(sha256.New, t.key)
	mac.Write(id[:])
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(expires))) //nolint:gosec // any bits will do
	mac.Write(claims.User[:])
	return mac.Sum(nil)[:macLen]
}
