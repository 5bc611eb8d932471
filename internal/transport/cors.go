package transport

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// parseOrigins checks origins and returns them in the form that browsers send.
func parseOrigins(origins []string) (map[string]bool, error) {
	allowed := make(map[string]bool, len(origins))
	for _, origin := range origins {
		u, err := url.Parse(origin)
		if err != nil || u.Scheme == "" || u.Host == "" || origin != u.Scheme+"://"+u.Host {
			return nil, fmt.Errorf("transport: origin %q is not of the form https://host or https://host:port", origin)
		}
		allowed[strings.ToLower(origin)] = true
	}
	return allowed, nil
}

// allowOrigin lets the page that made the request read the answer if its origin is allowed, for every kind of answer.
// It echoes the origin, because an asterisk forbids credentials (Fetch standard, CORS protocol).
func (h *Handler) allowOrigin(w http.ResponseWriter, r *http.Request) {
	if len(h.origins) == 0 {
		return
	}
	header := w.Header()
	header.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if !h.origins[strings.ToLower(origin)] {
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

// defaultRequestHeaders are the headers of the JavaScript client and of a refresh.
const defaultRequestHeaders = "authorization, x-requested-with, x-signalr-connection-token, x-signalr-user-agent"

// answerPreflight answers a preflight, which has no token. The answer for an origin that is not allowed has no CORS
// headers, so the browser does not send the request.
func (h *Handler) answerPreflight(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	if header.Get("Access-Control-Allow-Origin") != "" {
		header.Set("Access-Control-Allow-Methods", "GET, POST")
		wanted := r.Header.Get("Access-Control-Request-Headers")
		if wanted == "" {
			wanted = defaultRequestHeaders
		}
		header.Set("Access-Control-Allow-Headers", wanted)
	}
	w.WriteHeader(http.StatusNoContent)
}
