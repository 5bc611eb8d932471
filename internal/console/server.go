package console

import (
	"encoding/json"
	"net/http"
	"net/http/pprof"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Options are what a Server shows and whom it shows it to.
type Options struct {
	// Readiness is what /readyz answers; required.
	Readiness *Readiness
	// Gatherer is what /metrics answers; required.
	Gatherer prometheus.Gatherer
	// Quarantine is what /api/quarantine answers: the messages of publishers that something was wrong with. nil: there is no
	// such path.
	Quarantine func() any
	// Operations are served below /api/.
	Operations Operations
	// Publish answers POST /api/publish; nil: there is no such path.
	Publish http.Handler
	// Registerer receives the metrics; nil: none.
	Registerer prometheus.Registerer
	// Token is what callers must send as "Authorization: Bearer TOKEN" for everything but the two probes. Empty: nothing
	// has to be sent, and only requests that name a loopback host are answered.
	Token string
}

// Server answers on the operator's port. It is an http.Handler that may be used from any goroutine.
type Server struct {
	readiness *Readiness
	mux       *http.ServeMux
}

var _ http.Handler = (*Server)(nil)

// New makes a Server.
func New(o Options) *Server {
	registerMetrics(o.Registerer, o.Readiness)
	s := &Server{readiness: o.Readiness, mux: http.NewServeMux()}

	// Probes come from load balancers and kubelets, which know no token, and tell nothing worth protecting.
	s.mux.HandleFunc("GET /healthz", s.health)
	s.mux.HandleFunc("GET /readyz", s.ready)

	guarded := http.NewServeMux()
	guarded.HandleFunc("GET /{$}", s.index)
	guarded.Handle("GET /metrics", promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{}))
	if o.Quarantine != nil {
		guarded.HandleFunc("GET /api/quarantine", func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, http.StatusOK, o.Quarantine())
		})
	}
	guarded.HandleFunc("GET /debug/pprof/", pprof.Index)
	guarded.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	guarded.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	guarded.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	guarded.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
	guarded.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	o.Operations.handle(guarded)
	if o.Publish != nil {
		guarded.Handle("POST /api/publish", o.Publish)
	}
	// A page of another origin in the operator's browser could not read an answer, but it could have something done.
	own := http.NewCrossOriginProtection().Handler(guarded)
	if o.Token == "" {
		s.mux.Handle("/", requireLoopbackHost(own))
	} else {
		s.mux.Handle("/", requireBearer(o.Token, own))
	}
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	s.mux.ServeHTTP(w, r)
}

// health answers 200 for as long as the process can answer at all.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"state": "alive"})
}

// ready answers the report: 200 while the node wants connections, also with problems, and 503 otherwise.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	status := http.StatusServiceUnavailable
	if s.readiness.isReady() {
		status = http.StatusOK
	}
	writeJSON(w, status, s.readiness.Report())
}

// index names what can be asked for.
func (s *Server) index(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("/metrics\n/healthz\n/readyz\n/api/publish\n/api/quarantine\n/api/revoke\n/api/explain\n/api/connections\n/api/disconnect\n/debug/pprof/\n")) // a caller that has gone needs no answer
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a caller that has gone needs no answer
}
