package transport

import (
	"cmp"
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/hub"
)

// refreshOutcome is the result of a request to refresh the token of a connection.
type refreshOutcome string

const (
	refreshed        refreshOutcome = "refreshed"
	refreshOtherUser refreshOutcome = "other_user"
	refreshRevoked   refreshOutcome = "revoked"
	// refreshEnded: the connection has ended.
	refreshEnded refreshOutcome = "ended"
	// refreshUnknown: this node never had the connection.
	refreshUnknown refreshOutcome = "unknown"
	// refreshFailed: the request could not be sent to the node of the connection.
	refreshFailed refreshOutcome = "failed"
)

// connectionTokenHeader names the connection whose token is refreshed. Clients of the previews of .NET 11 named it in
// the query. ASP.NET Core 11.0.0 refuses them, and so does this server.
const connectionTokenHeader = "X-Signalr-Connection-Token" //nolint:gosec // a name, no token

// serveRefresh replaces the token of a connection by that of the request. Requests and answers are those of ASP.NET
// Core 11: the connection token names the connection, and an error is a word in a JSON object. Two answers differ: a
// token of another organization is refused like that of another user, and a token that ends earlier than the one in
// force is answered with the lifetime in force.
func (h *Handler) serveRefresh(w http.ResponseWriter, r *request) {
	if r.Method != http.MethodPost {
		h.refuse(w, requestRefresh, refusedMethod)
		return
	}
	text := r.Header.Get(connectionTokenHeader)
	if text == "" || len(r.Header.Values(connectionTokenHeader)) > 1 {
		h.refuseRefresh(w, refusedNoID, "missing_connection_token")
		return
	}
	named, ok := h.tokens.parse(text, r.claims)
	switch {
	case !ok:
		h.refuseRefresh(w, refusedUnknownID, "connection_not_found")
		return
	case named.version == 0:
		h.refuseRefresh(w, refusedVersion0, "unsupported_negotiate_version")
		return
	}
	outcome, expires := h.refreshByToken(r.Context(), &named, r.claims)
	switch outcome {
	case refreshed:
		h.metrics.refreshed.Inc()
		body := "{}"
		if seconds := tokenLifetime(expires); seconds > 0 {
			body = `{"tokenLifetimeSeconds":` + strconv.Itoa(seconds) + `}`
		}
		answerRefresh(w, http.StatusOK, body)
	case refreshOtherUser:
		h.refuseRefresh(w, refusedOtherUser, "user_changed")
	case refreshRevoked:
		h.refuseToken(w, r.Request, &r.owner.remote, requestRefresh, token.ErrRevoked)
	case refreshFailed:
		h.refuseRefresh(w, refusedForward, "temporarily_unavailable")
	default:
		h.refuseRefresh(w, refusedUnknownID, "connection_not_found")
	}
}

// refreshByToken replaces the claims of the connection that a connection token names, on whatever node it is. It
// returns the expiry in force. A connection that was negotiated and not opened yet has no claims to replace: its
// upgrade will show a token of its own.
func (h *Handler) refreshByToken(
	ctx context.Context, named *connToken, claims *authz.Claims,
) (outcome refreshOutcome, expires time.Time) {
	c, outcome, expires := h.replaceClaims(named.id, claims)
	if c != nil {
		c.session.Recheck(ctx)
	}
	if outcome == refreshUnknown && h.options.Refresh.Forward != nil {
		outcome, expires = h.forwardRefresh(ctx, named.id, claims)
	}
	if inTime, _ := h.tokens.inTime(named, time.Now()); outcome == refreshUnknown && inTime {
		if !named.sameUser {
			return refreshOtherUser, time.Time{}
		}
		return refreshed, claims.ExpiresAt
	}
	return outcome, expires
}

// replaceClaims replaces the claims of a connection of this node, and moves the time at which it ends. It returns the
// expiry in force and does not wait. Claims that end earlier than those in force change nothing, so that of two
// refreshes the later token wins in any order. The caller must Recheck the session of the returned connection; nil:
// there is nothing to recheck.
func (h *Handler) replaceClaims(id connID, claims *authz.Claims) (*Conn, refreshOutcome, time.Time) {
	c, ended := h.connections.find(id, time.Now())
	switch {
	case ended:
		return nil, refreshEnded, time.Time{}
	case c == nil:
		return nil, refreshUnknown, time.Time{}
	}
	h.refresh.Lock()
	defer h.refresh.Unlock()
	if !c.opened.Load() {
		// The client may know of the answer to its handshake before this node has opened the session.
		return nil, c.keepEarlyLocked(claims), cmp.Or(c.early, c.claims).ExpiresAt
	}
	return h.replaceClaimsLocked(c, claims)
}

// keepEarlyLocked keeps claims for a session that is not open yet. It ignores claims older than the claims with which
// the session will begin.
func (c *Conn) keepEarlyLocked(claims *authz.Claims) refreshOutcome {
	switch {
	case !c.belongsTo(claims):
		return refreshOtherUser
	case c.h.options.Tokens.Revoked(claims):
		return refreshRevoked
	case !claims.OlderThan(cmp.Or(c.early, c.claims)):
		c.early = claims
	}
	return refreshed
}

// replaceClaimsLocked is replaceClaims for a connection whose session is open.
func (h *Handler) replaceClaimsLocked(c *Conn, claims *authz.Claims) (*Conn, refreshOutcome, time.Time) {
	changed, err := c.session.Refresh(claims)
	expires := c.session.Claims().ExpiresAt
	switch {
	case changed:
		c.expireWith(claims)
		h.options.Refresh.Refreshed(c, claims)
		return c, refreshed, expires
	case err == nil:
		return nil, refreshed, expires
	case errors.Is(err, hub.ErrOtherUser):
		return nil, refreshOtherUser, time.Time{}
	case errors.Is(err, hub.ErrRevoked):
		return nil, refreshRevoked, time.Time{}
	default:
		return nil, refreshEnded, time.Time{}
	}
}

// tokenLifetime returns the seconds until a token expires; 0: it never expires, or it has.
func tokenLifetime(expires time.Time) int {
	if expires.IsZero() {
		return 0
	}
	return int(min(max(time.Until(expires)/time.Second, 0), math.MaxInt32))
}

// refuseRefresh answers a refused refresh request, and counts it.
func (h *Handler) refuseRefresh(w http.ResponseWriter, reason refusal, word string) {
	h.metrics.refused[requestRefresh][reason].Inc()
	if refusals[reason].status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", retryAfter())
	}
	answerRefresh(w, refusals[reason].status, `{"error":"`+word+`"}`)
}

func answerRefresh(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // after a failure there is no client to answer
}
