package transport

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/transport/hubprotocol"
)

// negotiateVersion is the highest negotiate version; clients that ask for more get this one (N4).
const negotiateVersion = 1

// transports are what negotiate lists: no other needs every request to reach the same node (N11).
const transports = `"availableTransports":[{"transport":"WebSockets","transferFormats":["Text","Binary"]}]`

// serveNegotiate gives out the id of a connection (N1 to N13). It neither redirects (N10) nor grants stateful reconnect
// (N7), and keeps nothing.
func (h *Handler) serveNegotiate(w http.ResponseWriter, r *request) {
	if r.Method != http.MethodPost {
		h.refuse(w, requestNegotiate, refusedMethod)
		return
	}
	if h.draining.Load() {
		h.refuse(w, requestNegotiate, refusedDraining)
		return
	}
	if reason, ok := h.connections.room(r.claims.Organization); !ok {
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
		body = h.negotiation(version, r.claims)
	}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // nobody is left to hear of a failure
}

// negotiateVersion is the version to answer with, or what is wrong with the one asked for (N4).
func (h *Handler) negotiateVersion(q query) (version int, problem string) {
	if values := q.values("negotiateVersion"); len(values) > 0 {
		asked, err := strconv.ParseInt(strings.TrimSpace(strings.Join(values, ",")), 10, 32)
		if err != nil {
			return 0, "The client requested a non-integer protocol version."
		}
		version = int(asked)
	}
	if version < h.options.MinNegotiateVersion {
		return 0, "The client requested version '" + strconv.Itoa(version) +
			"', but the server does not support this version."
	}
	return min(version, negotiateVersion), ""
}

// negotiation is the answer of a version (N5, N6). In version 0 there is one id, which then has to be the token.
func (h *Handler) negotiation(version int, claims *authz.Claims) []byte {
	id := newConnID()
	token := h.tokens.make(id, claims, time.Now())
	if version == 0 {
		return []byte(`{"negotiateVersion":0,"connectionId":"` + token + `",` + transports + `}`)
	}
	lifetime := ""
	if seconds := tokenLifetime(claims); h.options.Refresh && seconds > 0 {
		lifetime = `"tokenLifetimeSeconds":` + strconv.Itoa(seconds) + `,`
	}
	return []byte(`{"negotiateVersion":1,"connectionId":"` + id.String() + `","connectionToken":"` + token + `",` +
		lifetime + transports + `}`)
}
