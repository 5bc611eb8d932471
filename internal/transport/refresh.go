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

// refreshOutcome is what became of a request to refresh the token of a connection.
type refreshOutcome string

const (
	refreshed        refreshOutcome = "refreshed"
	refreshOtherUser refreshOutcome = "other_user"
	refreshRevoked   refreshOutcome = "revoked"
	// refreshUnknown: the connection is not on this node, or not there any more.
	refreshUnknown refreshOutcome = "unknown"
	// refreshFailed: the node of the connection could not be asked.
	refreshFailed refreshOutcome = "failed"
)

// serveRefresh replaces the token of a connection by that of the request. Requests and answers are those of ASP.NET Core
// 11: the connection is named by its connection token, and what is wrong is a word in a JSON object.
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

// refreshByToken replaces the claims of the connection that a connection token stands for, on whatever node it is. Such
// a token is tied to its user: what another one shows is either that or made up.
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
	case outcome == refreshUnknown && h.options.Forward != nil:
		return h.forwardRefresh(ctx, id, claims)
	}
	return outcome
}

// replaceClaims replaces the claims of a connection of this node, and moves the time at which it ends. It does not wait.
// The session of the connection that it returns must Recheck; nil: there is nothing to be looked at.
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
		h.options.Refreshed(c, claims)
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

// tokenLifetime is for how many seconds a token is good; 0: for ever, or no longer.
func tokenLifetime(claims *authz.Claims) int {
	if claims.ExpiresAt.IsZero() {
		return 0
	}
	return int(min(max(time.Until(claims.ExpiresAt)/time.Second, 0), math.MaxInt32))
}

// refuseRefresh answers that a token was not replaced, and counts it.
func (h *Handler) refuseRefresh(w http.ResponseWriter, reason refusal, word string) {
	h.metrics.refused[requestRefresh][reason].Inc()
	answerRefresh(w, refusals[reason].status, `{"error":"`+word+`"}`)
}

func answerRefresh(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // nobody is left to hear of a failure
}
