package transport

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/transport/admission"
	"github.com/rte-server/rte-server/internal/transport/hubprotocol"
	"github.com/rte-server/rte-server/internal/transport/relay"
	"github.com/rte-server/rte-server/internal/transport/websocket"
)

// Handler serves the hub's path and the paths of negotiate and refresh. Any goroutine may use it.
type Handler struct {
	// Static after construction.
	options   Options
	path      hubPath
	tokens    *tokens
	tickets   tickets
	passing   passing
	protocols map[string]*hubprotocol.Protocol // by the name that the handshake uses
	log       *zap.Logger
	metrics   *metrics
	started   time.Time // the times of connections count from here
	invoking  context.Context
	stop      context.CancelFunc // ends invoking

	refresh  sync.Mutex // held while the claims of a session and the expiry of its connection change together
	requests *refreshRequests

	redemptions *redemptions

	available string // the list of transports, as negotiate answers it

	adjustable
	connections *connections
	queue       *admission.Queue
	admission   *admissionMetrics
	backoff     backoff
	pending     atomic.Int64 // bytes of large messages that are incomplete or in a call
	buffers     websocket.ReadBuffers
	polling     polling
	inflaters   websocket.Inflaters
	drained     chan struct{} // closed by Drain
	pongs       sync.Pool     // of *pongBuffer
	drainOnce   sync.Once
	draining    atomic.Bool
}

// New returns a Handler and starts nothing. The error names the option that is wrong.
func New(options Options) (*Handler, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	h := &Handler{
		options:     options,
		protocols:   hubprotocol.Protocols(options.Protocol.MessagePackStyle),
		log:         options.Logger,
		metrics:     newMetrics(options.Registerer, &options.Limits),
		connections: newConnections(&options.Limits, options.Tokens.retention()),
		backoff:     backoff{longest: options.Timeouts.Hold},
		drained:     make(chan struct{}),
		pongs:       sync.Pool{New: func() any { return new(pongBuffer) }},
		path:        newHubPath(options.Path),
		tokens:      newTokens(options.Tokens.TTL, options.Tokens.ClockTolerance),
		requests:    newRefreshRequests(),
		redemptions: &redemptions{announce: options.Tokens.Announce},
		started:     time.Now(),
		available:   options.Transports.Available(),
	}
	h.queue = newAdmission(&options, h.connections)
	h.connections.left = h.queue.Left
	h.admission = newAdmissionMetrics(options.Registerer, h.queue)
	h.adjustable.limits.Store(&options.Limits)
	if err := h.SetOrigins(options.Origins); err != nil {
		return nil, err
	}
	if err := h.SetSecrets(options.Secret, options.PreviousSecrets...); err != nil {
		return nil, err
	}
	h.invoking, h.stop = context.WithCancel(context.Background())
	return h, nil
}

// Drain makes the handler refuse new negotiations and connections with 503, for good. Open connections continue.
func (h *Handler) Drain() {
	h.draining.Store(true)
	h.drainOnce.Do(func() { close(h.drained) })
	h.queue.Close()
}

// Pause makes the handler refuse as Drain does, until Resume.
func (h *Handler) Pause() {
	h.draining.Store(true)
	h.queue.Refuse()
}

// Resume ends a pause. The caller must not have called Drain.
func (h *Handler) Resume() { h.draining.Store(false) }

// Connections returns the number of connections, including those in their handshake and those about to end.
func (h *Handler) Connections() int { return h.connections.len() }

// WaitingForRate returns the number of clients that wait for AdmissionOptions.Rate.
func (h *Handler) WaitingForRate() int { return h.queue.WaitingForRate() }

// NeedsPort reports whether there are connections without a WebSocket: their clients make further requests.
func (h *Handler) NeedsPort() bool { return h.connections.len() > h.connections.sockets() }

// Shutdown drains, cancels unfinished handshakes and waits until all connections have ended. A connection with a
// session ends when the hub closes the session. If ctx ends first, Shutdown aborts the remaining connections and
// returns the error of ctx. In both cases no goroutine of a connection is left.
func (h *Handler) Shutdown(ctx context.Context) error {
	h.Drain()
	defer h.stop()
	empty := h.connections.shut()
	h.connections.wake()
	var err error
	select {
	case <-empty:
	case <-ctx.Done():
		err = ctx.Err()
		h.stop()
		h.connections.abort()
	}
	h.connections.readers.Wait()
	h.polling.close()
	h.requests.close()
	h.redemptions.close()
	return err
}

// ServeHTTP serves the hub. It passes requests for other paths to Options.Next.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if len(r.TransferEncoding) > 0 {
		// Such a request may also have a Content-Length, which net/http hides: a proxy that believes it sees other requests
		// in this stream than net/http (RFC 9112 section 6.3). Clients of a hub send no bodies.
		w.Header().Set("Connection", "close")
		h.refuse(w, requestHub, refusedEncoding)
		return
	}
	if !r.ProtoAtLeast(1, 1) {
		// The Transfer-Encoding of such a request is hidden, and has no effect. A proxy may see it in another way.
		w.Header().Set("Connection", "close")
	}
	var (
		serve func(http.ResponseWriter, *request)
		kind  requestKind
	)
	switch path := r.URL.EscapedPath(); {
	case h.path.is(path, ""):
		serve, kind = h.serveHub, requestHub
	case h.path.is(path, "/negotiate"):
		serve, kind = h.serveNegotiate, requestNegotiate
	case h.path.is(path, "/refresh"):
		if !h.options.Refresh.Enabled {
			h.metrics.refused[requestRefresh][refusedDisabled].Inc()
			w.WriteHeader(refusals[refusedDisabled].status)
			return
		}
		serve, kind = h.serveRefresh, requestRefresh
	case relay.Passed(r.Context()):
		w.WriteHeader(http.StatusNotFound) // nodes with other paths
		return
	default:
		h.options.Next.ServeHTTP(w, r)
		return
	}
	if !relay.Passed(r.Context()) { // the other node has done it
		h.allowOrigin(w, r)
	}
	if isPreflight(r) {
		h.answerPreflight(w, r)
		return
	}
	w, ended := h.traced(w, r, kind)
	defer ended()
	q := parseQuery(r.URL.RawQuery)
	from := h.remoteOf(r, q)
	if isEntry(r, kind) {
		if reason, ok := h.refusesAll(&from, kindOfEntry(kind, q)); !ok {
			h.refuse(w, kind, reason)
			return
		}
	}
	claims, ticket, err := h.authenticate(r, q, kind)
	if err != nil {
		h.refuseToken(w, r, &from, kind, err)
		return
	}
	serve(w, &request{r, q, claims, ownerOf(claims, from), ticket})
}

// isEntry reports whether a request would let a client in: it is a negotiate or an upgrade.
func isEntry(r *http.Request, kind requestKind) bool {
	return kind == requestNegotiate && r.Method == http.MethodPost ||
		kind == requestHub && r.Method == http.MethodGet && isWebSocket(r)
}

// kindOfEntry returns the kind of such a request.
func kindOfEntry(kind requestKind, q query) admission.Kind {
	if kind == requestNegotiate {
		return admission.Negotiate
	}
	return kindOfUpgrade(q.value("id"))
}

// hubPath is the path of the hub, as it is configured and as it is written in a request.
type hubPath [2]string

func newHubPath(path string) hubPath { return hubPath{path, (&url.URL{Path: path}).EscapedPath()} }

// is reports whether the path of a request, as it was sent, is the hub's with a suffix: in any case, and with or
// without a slash behind it. A path with other percent signs is none of the hub's, so that a proxy that has rules for
// paths sees the path that counts here.
func (p hubPath) is(path, suffix string) bool {
	path = strings.TrimSuffix(path, "/")
	return strings.EqualFold(path, p[0]+suffix) || strings.EqualFold(path, p[1]+suffix)
}

// isHub reports whether the path of a request without percent signs is the hub's.
func (h *Handler) isHub(path string) bool { return h.path.is(path, "") }

// eventStream is the media type that clients of the ServerSentEvents transport accept.
const eventStream = "text/event-stream"

// serveHub serves the hub's own path (1.3).
func (h *Handler) serveHub(w http.ResponseWriter, r *request) {
	switch {
	case r.Method == http.MethodGet && isWebSocket(r.Request):
		h.serveUpgrade(w, r)
	case r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), eventStream):
		h.serveStream(w, r)
	case r.Method == http.MethodGet:
		h.servePoll(w, r)
	case r.Method == http.MethodPost:
		h.servePost(w, r)
	case r.Method == http.MethodDelete:
		h.serveDelete(w, r)
	default:
		h.refuse(w, requestHub, refusedMethod)
	}
}

// refuseTransport answers a request for a transport that the server does not have: with the given reason if the id of
// the request belongs to a connection, else as a server with that transport would (1.3).
func (h *Handler) refuseTransport(w http.ResponseWriter, r *request, reason refusal) {
	token := r.query.value("id")
	if token == "" {
		h.refuse(w, requestHub, refusedNoID)
		return
	}
	now := time.Now()
	parsed, ok := h.tokens.parse(token, r.claims)
	if !ok || !parsed.sameUser || !h.connections.known(parsed.id, h.inTime(&parsed, now), now) {
		h.refuse(w, requestHub, refusedUnknownID)
		return
	}
	h.refuse(w, requestHub, reason)
}

// inTime reports whether a connection token may still be used, and counts a difference of clocks.
func (h *Handler) inTime(token *connToken, now time.Time) bool {
	ok, clocksDiffer := h.tokens.inTime(token, now)
	if clocksDiffer {
		h.metrics.clockDifferences.Inc()
	}
	return ok
}

// refuse answers a refused request, and counts it.
func (h *Handler) refuse(w http.ResponseWriter, kind requestKind, reason refusal) {
	h.metrics.refused[kind][reason].Inc()
	if refusals[reason].status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", retryAfter())
	}
	if reason == refusedDraining {
		w.Header().Set("Connection", "close") // the next request can reach another node, also behind a balancer of TCP
	}
	answer(w, refusals[reason].status, refusals[reason].text)
}

// answer answers with a text, without a charset as ASP.NET Core.
func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(status)
	if text != "" {
		_, _ = w.Write([]byte(text)) // after a failure there is no client to answer
	}
}

// retryAfter returns how many seconds a client should wait after a 503: 5 to 15, so that clients do not come back at
// once.
func retryAfter() string { return strconv.Itoa(5 + rand.IntN(11)) } //nolint:gosec // it protects nothing
