package console

import (
	"net/http"
	"slices"
)

// publishPath is the path for publishers.
const publishPath = "/api/publish"

// routes is a http.ServeMux that knows its patterns.
type routes struct {
	*http.ServeMux

	patterns []string
}

func newRoutes() *routes { return &routes{ServeMux: http.NewServeMux()} }

// Handle registers a handler, as http.ServeMux does.
func (r *routes) Handle(pattern string, handler http.Handler) {
	r.patterns = append(r.patterns, pattern)
	r.ServeMux.Handle(pattern, handler)
}

// HandleFunc registers a handler, as http.ServeMux does.
func (r *routes) HandleFunc(pattern string, handler http.HandlerFunc) { r.Handle(pattern, handler) }

// Patterns returns the patterns of all paths that the server handles, such as "GET /api/nodes".
func (s *Server) Patterns() []string {
	all := slices.Concat(s.mux.patterns, s.guarded.patterns)
	slices.Sort(all)
	return all
}
