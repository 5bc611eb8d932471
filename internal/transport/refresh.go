package transport

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/hub"
)

// refreshOutcome is the result of a request to refresh the token of a connection.
type refreshOutcome string

const (
	refreshed        refreshOutcome = "refreshed"
	refreshOtherUser refreshOutcome = "other_user"
	refreshRevoked   refreshOutcome = "revoked"
	// refreshUnknown: this node does not have the connection, or no longer has it.
	refreshUnknown refreshOutcome = "unknown"
	// refreshFailed: the request could not be sent to the node of the connection.
	refreshFailed refreshOutcome = "failed"
)

// serveRefresh replaces the token of a connection by that of the request. Requests and answers are those of ASP.NET
// Core 11: the connection token names the connection, and an error is a word in a JSON object.
func (h *Handler) serveRefresh(w http.ResponseWriter, r *request) {
	if r.Method != http.MethodPost {
		h.refuse(w, requestRefresh, refusedMethod)
		return
	}
	token := r.query.value("id")
	if token == "" {
		h.refuseRefresh(w, refusedNoID, "missing_connection_token")
		return
	}
	switch h.refreshByToken(r.Context(), token, r.claims) {
	case refreshed:
		h.metrics.refreshed.Inc()
		body := "{}"
		if seconds := tokenLifetime(r.claims); seconds > 0 {
			body = `{"tokenLifetimeSeconds":` + strconv.Itoa(seconds) + `}`
		}
		answerRefresh(w, http.StatusOK, body)
	case refreshOtherUser:
		h.refuseRefresh(w, refusedOtherUser, "user_changed")
	case refreshRevoked:
		h.refuseRefresh(w, refusedToken, "invalid_token")
	case refreshFailed:
		h.refuseRefresh(w, refusedForward, "temporarily_unavailable")
	default:
		h.refuseRefresh(w, refusedUnknownID, "connection_not_found")
	}
}

// refreshByToken replaces the claims of the connection that a connection token names, on whatever node it is. A
// connection token is tied to its user, so the token of another user is either theirs or invented.
func (h *Handler) refreshByToken(ctx context.Context, token string, claims *authz.Claims) refreshOutcome {
	id, _, ok := h.tokens.parse(token, claims)
	if !ok {
		if _, _, _, looksGood := splitToken(token); looksGood {
			return refreshOtherUser
		}
		return refreshUnknown
	}
	c, outcome := h.replaceClaims(id, claims)
	switch {
	case c != nil:
		c.session.Recheck(ctx)
	case outcome == refreshUnknown && h.options.Refresh.Forward != nil:
		return h.forwardRefresh(ctx, id, claims)
	}
	return outcome
}

// replaceClaims replaces the claims of a connection of this node, and moves the time at which it ends. It does not
// wait. The caller must Recheck the session of the returned connection; nil: there is nothing to recheck.
func (h *Handler) replaceClaims(id connID, claims *authz.Claims) (*Conn, refreshOutcome) {
	c := h.connections.find(id)
	if c == nil || !c.opened.Load() {
		return nil, refreshUnknown
	}
	h.refresh.Lock()
	defer h.refresh.Unlock()
	switch changed, err := c.session.Refresh(claims); {
	case changed:
		c.expireWith(claims)
		h.options.Refresh.Refreshed(c, claims)
		return c, refreshed
	case err == nil:
		return nil, refreshed
	case errors.Is(err, hub.ErrOtherUser):
		return nil, refreshOtherUser
	case errors.Is(err, hub.ErrRevoked):
		return nil, refreshRevoked
	default:
		return nil, refreshUnknown
	}
}

// tokenLifetime returns the seconds until a token expires; 0: it never expires, or it has.
func tokenLifetime(claims *authz.Claims) int {
	if claims.ExpiresAt.IsZero() {
		return 0
	}
	return int(min(max(time.Until(claims.ExpiresAt)/time.Second, 0), math.MaxInt32))
}

// refuseRefresh answers a refused refresh request, and counts it.
func (h *Handler) refuseRefresh(w http.ResponseWriter, reason refusal, word string) {
	h.metrics.refused[requestRefresh][reason].Inc()
	answerRefresh(w, refusals[reason].status, `{"error":"`+word+`"}`)
}

func answerRefresh(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // after a failure there is no client to answer
}
