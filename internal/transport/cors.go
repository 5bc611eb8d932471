package transport

import (
	"net/http"

	"github.com/rte-server/rte-server/internal/transport/transports"
)

// allowOrigin lets the page that made the request read the answer if its origin is allowed, for every kind of answer.
// It echoes the origin, because an asterisk forbids credentials (Fetch standard, CORS protocol).
func (h *Handler) allowOrigin(w http.ResponseWriter, r *http.Request) {
	allowed := h.origins.Load()
	if allowed.Empty() {
		return
	}
	header := w.Header()
	header.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if !allowed.Allows(origin) {
		return
	}
	header.Set("Access-Control-Allow-Origin", origin)
	header.Set("Access-Control-Allow-Credentials", "true")
}

// isPreflight reports whether a request is a preflight of a browser.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions &&
		r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

const (
	// defaultRequestHeaders are the headers of the JavaScript client and of a refresh.
	defaultRequestHeaders = "authorization, x-requested-with, x-signalr-connection-token, x-signalr-user-agent"
	// preflightAge is how many seconds a browser may reuse the answer to a preflight: 2 h, the most that Chrome allows.
	// Without it Chrome asks again after 5 s, which is a preflight before each negotiate.
	preflightAge = "7200"
)

// answerPreflight answers a preflight, which has no token. The answer for an origin that is not allowed has no CORS
// headers, so the browser does not send the request.
func (h *Handler) answerPreflight(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	if header.Get("Access-Control-Allow-Origin") != "" {
		methods := "GET, POST"
		if h.options.Transports[transports.LongPolling] {
			methods += ", DELETE"
		}
		header.Set("Access-Control-Allow-Methods", methods)
		header.Set("Access-Control-Max-Age", preflightAge)
		wanted := r.Header.Get("Access-Control-Request-Headers")
		if wanted == "" {
			wanted = defaultRequestHeaders
		}
		header.Set("Access-Control-Allow-Headers", wanted)
	}
	w.WriteHeader(http.StatusNoContent)
}
