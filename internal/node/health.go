package node

import (
	"net/http"
	"strings"
)

// withHealthPath adds health.path in front of next, the handler of requests outside the path of the hub. next may be
// nil.
func (n *Node) withHealthPath(next http.Handler) http.Handler {
	path := strings.TrimRight(n.config.Health.Path, "/")
	if path == "" {
		return next
	}
	if next == nil {
		next = http.NotFoundHandler()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.TrimRight(r.URL.Path, "/") != path || r.Method != http.MethodGet && r.Method != http.MethodHead {
			next.ServeHTTP(w, r)
			return
		}
		n.readiness.ProbeWithoutDetails(w, r)
	})
}
