package console

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
)

// Options configure a Server.
type Options struct {
	// Readiness is the source of /readyz. Required.
	Readiness *Readiness
	// Gatherer is the source of /metrics. Required.
	Gatherer prometheus.Gatherer
	// Organizations is the source of /metrics/organizations. nil: no such path.
	Organizations prometheus.Gatherer
	// Quarantine returns the answer of /api/quarantine: faulty messages of publishers. nil: no such path.
	Quarantine func() any
	// Operations are the actions below /api/.
	Operations Operations
	// Publish handles POST /api/publish. nil: no such path.
	Publish http.Handler
	// Registerer receives the metrics; nil: none.
	Registerer prometheus.Registerer
	// Token is the bearer token that every request but the two probes needs. Empty: no token, and only requests to a
	// loopback host are answered.
	Token string
	// ReadToken and PublishToken are further tokens: the first may only read, the second only publish. They count where
	// Token is set. Empty: there is none.
	ReadToken, PublishToken string
	// Audit records the actions of operators. nil: nothing is recorded.
	Audit *zap.Logger
	// Node is the name of the node, for whoami.
	Node string
	// AnswerTimeout bounds the handling of a request and its answer, except for profiles. 0: no limit.
	AnswerTimeout time.Duration
}

// Server is the handler of the operator port. It may be used from any goroutine.
type Server struct {
	node    string
	access  *access
	mux     *routes
	guarded *routes
	handler http.Handler // mux, with a limit for answers
}

var _ http.Handler = (*Server)(nil)

// New makes a Server. Its error names the field that is missing.
func New(o Options) (*Server, error) {
	switch {
	case o.Readiness == nil:
		return nil, errors.New("console: Options.Readiness is required")
	case o.Gatherer == nil:
		return nil, errors.New("console: Options.Gatherer is required")
	}
	registerMetrics(o.Registerer, o.Readiness)
	s := &Server{node: o.Node, mux: newRoutes()}

	// Load balancers and kubelets send probes without a token; the answers need no protection.
	s.mux.HandleFunc("GET /healthz", s.health)
	s.mux.HandleFunc("GET /readyz", o.Readiness.Probe)
	handleUI(s.mux.ServeMux, func() bool { return *s.access.token.Load() != "" })

	guarded := newRoutes()
	guarded.HandleFunc("GET /{$}", s.index)
	guarded.Handle("GET /metrics", promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{}))
	if o.Organizations != nil {
		guarded.Handle("GET /metrics/organizations", promhttp.HandlerFor(o.Organizations, promhttp.HandlerOpts{}))
	}
	if o.Quarantine != nil {
		guarded.HandleFunc("GET /api/quarantine", func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, http.StatusOK, o.Quarantine())
		})
	}
	guarded.HandleFunc("GET /debug/pprof/", boundProfile(pprof.Index))
	guarded.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	guarded.HandleFunc("GET /debug/pprof/profile", boundProfile(pprof.Profile))
	guarded.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	guarded.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
	guarded.HandleFunc("GET /debug/pprof/trace", boundProfile(pprof.Trace))
	o.Operations.handle(guarded)
	guarded.HandleFunc("GET "+whoamiPath, answer(func(r *http.Request) (any, error) {
		return s.whoami(r.Context(), r.URL.Query())
	}))
	if o.Publish != nil {
		guarded.Handle("POST "+publishPath, o.Publish)
	}
	s.guarded = guarded
	// A page of another origin in the operator's browser cannot read an answer, but its request could still act.
	own := http.NewCrossOriginProtection().Handler(guarded)
	s.access = newAccess(&o)
	s.SetToken(o.Token)
	s.SetRoleTokens(o.ReadToken, o.PublishToken)
	s.mux.Handle("/", leadToUI(s.access.guard(own)))
	s.handler = s.mux
	if o.AnswerTimeout > 0 {
		s.handler = limitAnswer(o.AnswerTimeout, s.mux)
	}
	return s, nil
}

// SetToken replaces Options.Token. Any goroutine may call it.
func (s *Server) SetToken(token string) { s.access.token.Store(&token) }

// SetRoleTokens replaces Options.ReadToken and PublishToken. Any goroutine may call it.
func (s *Server) SetRoleTokens(read, publish string) {
	s.access.others.Store(&map[operatorRole]string{roleReader: read, rolePublisher: publish})
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	s.handler.ServeHTTP(w, r)
}

// health answers 200 as long as the process can answer.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"state": "alive"})
}

// index lists the paths.
func (s *Server) index(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "/metrics\n/metrics/organizations\n/healthz\n/readyz\n/api/publish\n/api/quarantine\n"+
		"/api/revoke\n/api/revocations\n/api/explain\n/api/connections\n/api/disconnect\n/api/events\n/api/topics\n"+
		"/api/drain\n/api/shed\n/api/nodes\n/api/reload\n"+
		"/api/overview\n/api/organizations\n/api/tap\n/api/whoami\n/api/log-level\n"+
		"/debug/pprof/\n") // an error means that the caller has gone
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // an error means that the caller has gone
}
