package transport

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/authz/token"
)

// maxTicketClaims bounds the claims in a ticket, in bytes of JSON: a ticket is a part of a URL. A client with larger
// claims gets no ticket, and shows its token.
const maxTicketClaims = 2 << 10

// tickets makes and opens tickets. A ticket is the fourth part of a connection token: negotiate seals the claims of the
// JWT in it. It opens the connection of its token in place of a JWT. A browser would have to put the JWT into a URL.
// Like its connection token it works once, for TokenOptions.TTL, and on any node.
type tickets struct {
	keys atomic.Pointer[[]cipher.AEAD] // the first seals, all open; of Handler.SetSecrets
}

// setKeys replaces the keys.
func (t *tickets) setKeys(keys [][]byte) error {
	sealers := make([]cipher.AEAD, 0, len(keys))
	for _, key := range keys {
		block, err := aes.NewCipher(key)
		if err != nil {
			return fmt.Errorf("key of tickets: %w", err)
		}
		sealer, err := cipher.NewGCM(block)
		if err != nil {
			return fmt.Errorf("key of tickets: %w", err)
		}
		sealers = append(sealers, sealer)
	}
	t.keys.Store(&sealers)
	return nil
}

// add adds a ticket for claims to a new connection token. It returns false if the claims are too large. The nonce is a
// part of the id. The id is random, and add never seals for an id twice. The ticket is bound to the rest of the token.
func (t *tickets) add(connection string, id connID, claims *authz.Claims) (string, bool) {
	text, err := json.Marshal(claims)
	if err != nil || len(text) > maxTicketClaims {
		return connection, false
	}
	sealer := (*t.keys.Load())[0]
	sealed := sealer.Seal(nil, id[:sealer.NonceSize()], text, []byte(connection))
	return connection + "." + base64.RawURLEncoding.EncodeToString(sealed), true
}

// open returns the claims in the ticket of a connection token; nil: it has none, or it is not authentic.
func (t *tickets) open(connection string) *authz.Claims {
	rest, ticket := cutTicket(connection)
	id, ok := parseConnID(rest[:min(len(rest), base64.RawURLEncoding.EncodedLen(len(connID{})))])
	if ticket == "" || !ok || len(ticket) > base64.RawURLEncoding.EncodedLen(maxTicketClaims+aes.BlockSize) {
		return nil
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(ticket)
	if err != nil || strings.ContainsAny(ticket, "\r\n") { // base64 passes over these
		return nil
	}
	for _, sealer := range *t.keys.Load() {
		text, err := sealer.Open(nil, id[:sealer.NonceSize()], sealed, []byte(rest))
		if err != nil {
			continue
		}
		claims := new(authz.Claims)
		if json.Unmarshal(text, claims) != nil {
			return nil
		}
		return claims
	}
	return nil
}

// cutTicket cuts a connection token into the token itself and its ticket; empty: it has none.
func cutTicket(connection string) (rest, ticket string) {
	if strings.Count(connection, ".") != 3 {
		return connection, ""
	}
	i := strings.LastIndexByte(connection, '.')
	return connection[:i], connection[i+1:]
}

// opensByTicket reports whether a request may have a ticket in place of a token: it would open a connection.
func opensByTicket(r *http.Request) bool {
	return r.Method == http.MethodGet && (isWebSocket(r) || strings.Contains(r.Header.Get("Accept"), eventStream))
}

// redeemable returns the claims of the ticket in a query. The ticket must be in time and unused; the connections accept
// it once. The error is errNoToken, or an error of the claims.
func (h *Handler) redeemable(q query) (*authz.Claims, error) {
	if !h.options.Tokens.Tickets {
		return nil, errNoToken
	}
	text := q.value("id")
	claims := h.tickets.open(text)
	if claims == nil {
		return nil, errNoToken
	}
	now := time.Now()
	named, ok := h.tokens.parse(text, claims)
	if !ok || !named.sameUser || !h.connections.unused(named.id, h.inTime(&named, now), now) {
		return nil, errNoToken
	}
	if expires := claims.ExpiresAt; !expires.IsZero() && !expires.After(now.Add(-h.options.Tokens.Leeway)) {
		return nil, token.ErrExpired
	}
	if h.options.Tokens.Revoked(claims) {
		return nil, token.ErrRevoked
	}
	return claims, nil
}
