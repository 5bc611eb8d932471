package transport

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/transport/admission"
	"github.com/rte-server/rte-server/internal/transport/hubprotocol"
)

// negotiateVersion is the highest negotiate version. Clients that ask for more get this one (N4).
const negotiateVersion = 1

// serveNegotiate answers with the id of a new connection (N1 to N13). It grants stateful reconnect to clients that ask
// for it (N7). It does not redirect (N10), and stores nothing.
func (h *Handler) serveNegotiate(w http.ResponseWriter, r *request) {
	if r.Method != http.MethodPost {
		h.refuse(w, requestNegotiate, refusedMethod)
		return
	}
	if !h.hold(r.Context(), r.owner.organizationUser()) {
		h.refuse(w, requestNegotiate, refusedHold)
		return
	}
	if h.draining.Load() {
		h.refuse(w, requestNegotiate, refusedDraining)
		return
	}
	reason, ok := h.connections.quota(&r.owner)
	if ok {
		reason, ok = h.awaitTurn(w, r, admission.Negotiate)
	}
	if ok && h.draining.Load() { // meanwhile
		reason, ok = refusedDraining, false
	}
	if !ok {
		h.refuse(w, requestNegotiate, reason)
		return
	}
	version, problem := h.negotiateVersion(r.query)
	var body []byte
	if problem != "" {
		h.metrics.refused[requestNegotiate][refusedVersion].Inc()
		body = hubprotocol.AppendJSONString([]byte(`{"error":`), problem)
		body = append(body, '}')
	} else {
		h.metrics.negotiated.Inc()
		resumes := version > 0 && h.options.Resume.Window > 0 && isTrue(r.query.value("useStatefulReconnect"))
		body = h.negotiation(version, resumes, r.claims)
	}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // after a failure there is no client to answer
}

// negotiateVersion returns the version of the answer, or the error text for the version that the client requested (N4).
func (h *Handler) negotiateVersion(q query) (version int, problem string) {
	if values := q.values("negotiateVersion"); len(values) > 0 {
		requested, err := strconv.ParseInt(strings.TrimSpace(strings.Join(values, ",")), 10, 32)
		if err != nil {
			return 0, "The client requested a non-integer protocol version."
		}
		version = int(requested)
	}
	if version < h.options.Protocol.MinNegotiateVersion {
		return 0, "The client requested version '" + strconv.Itoa(version) +
			"', but the server does not support this version."
	}
	return min(version, negotiateVersion), ""
}

// negotiation returns the body of the answer (N5, N6). Version 0 has one id only, which has to be the token.
func (h *Handler) negotiation(version int, resumes bool, claims *authz.Claims) []byte {
	id := newConnID()
	token := h.tokens.make(id, version, resumes, claims, time.Now())
	ticket := ""
	if h.options.Tokens.Tickets && version > 0 {
		var ok bool
		if token, ok = h.tickets.add(token, id, claims); ok {
			ticket = `"webSocketTicket":true,`
		} else {
			h.metrics.ticketsTooLarge.Inc()
		}
	}
	if version == 0 {
		return []byte(`{"negotiateVersion":0,"connectionId":"` + token + `",` + h.available + `}`)
	}
	lifetime := ""
	if seconds := tokenLifetime(claims.ExpiresAt); h.options.Refresh.Enabled && seconds > 0 {
		lifetime = `"tokenLifetimeSeconds":` + strconv.Itoa(seconds) + `,`
	}
	granted := ""
	if resumes {
		granted = `"useStatefulReconnect":true,`
	}
	return []byte(`{` + granted + `"negotiateVersion":1,"connectionId":"` + id.String() + `","connectionToken":"` +
		token + `",` + ticket + lifetime + h.available + `}`)
}

// isTrue reports whether a value is true as .NET reads booleans.
func isTrue(value string) bool { return strings.EqualFold(strings.TrimSpace(value), "true") }
