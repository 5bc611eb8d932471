package console

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/loopback"
)

const (
	// wrongTokenDelay is the time before the answer to a wrong token: it slows down guessing.
	wrongTokenDelay = 500 * time.Millisecond
	// maxDelayed bounds the requests that wait for it; others get their answer at once. The wait holds a connection.
	maxDelayed = 64
	// refusedBody is how long the server reads the body of a refused request after the answer.
	refusedBody = time.Second
)

// The values of the label reason.
const (
	refusedNoToken    = "no_token"
	refusedWrongToken = "wrong_token"
	refusedHost       = "host"
	refusedCrowd      = "descriptors"
	refusedRole       = "role"
	refusedTooMany    = "too_many"
)

// access decides which requests may use the guarded paths.
type access struct {
	token   atomic.Pointer[string]                  // of Server.SetToken
	others  atomic.Pointer[map[operatorRole]string] // of Server.SetRoleTokens
	audit   *zap.Logger
	refused *prometheus.CounterVec
	failed  *failures
	delayed chan struct{} // holds one element for each request that waits
}

func newAccess(o *Options) *access {
	reg := o.Registerer
	a := &access{
		audit: o.Audit,
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rte_console_requests_refused_total",
			Help: "Refused requests to the operator port, by reason.",
		}, []string{"reason"}),
		failed:  newFailures(reg),
		delayed: make(chan struct{}, maxDelayed),
	}
	for _, reason := range []string{
		refusedNoToken, refusedWrongToken, refusedHost, refusedCrowd, refusedRole, refusedTooMany,
	} {
		a.refused.WithLabelValues(reason)
	}
	if reg != nil {
		reg.MustRegister(a.refused)
	}
	return a
}

// guard passes on the requests that may use the guarded paths.
func (a *access) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token := *a.token.Load(); token == "" {
			a.requireLoopbackHost(a.record(roleOperator, next)).ServeHTTP(w, r)
		} else {
			a.requireBearer(token, next).ServeHTTP(w, r)
		}
	})
}

// requireBearer passes on requests with a token whose role allows them, and refuses others. token is that of operators.
// A right token counts even from an address that has sent many wrong ones: otherwise another user of the same proxy
// could lock operators out. Tokens are long enough that guesses at the rate of requests find none. A comparison takes
// the same time for any token.
func (a *access) requireBearer(token string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var scheme, sent string
		// Of two headers, a proxy in front of the port may have checked the other one.
		if values := r.Header.Values("Authorization"); len(values) == 1 {
			scheme, sent, _ = strings.Cut(values[0], " ")
		}
		sent = strings.TrimSpace(sent)
		if role := a.roleOf(token, sent); strings.EqualFold(scheme, "Bearer") && role != roleNone {
			if !role.allows(r) {
				a.refuse(w, refusedRole, "the token of the role "+string(role)+" does not allow this", http.StatusForbidden)
				return
			}
			a.record(role, next).ServeHTTP(w, r)
			return
		}
		reason := refusedNoToken
		if sent != "" {
			reason = refusedWrongToken
			if wait := a.failed.add(r.RemoteAddr, time.Now()); wait > 0 {
				w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
				a.refuse(w, refusedTooMany, "too many wrong tokens from this address", http.StatusTooManyRequests)
				return
			}
			a.delay(r)
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="rte-server console"`)
		a.refuse(w, reason, "a bearer token is needed", http.StatusUnauthorized)
	})
}

// requireLoopbackHost passes on requests to a loopback name and refuses others. A web page in the operator's browser
// could otherwise read a port without a token, through a name of its own that resolves to 127.0.0.1.
func (a *access) requireLoopbackHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !loopback.Is(r.Host) {
			a.refuse(w, refusedHost, "without a token this port answers to localhost only", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// delay waits before the answer to a wrong token.
func (a *access) delay(r *http.Request) {
	select {
	case a.delayed <- struct{}{}:
		defer func() { <-a.delayed }()
	default:
		return
	}
	timer := time.NewTimer(wrongTokenDelay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	}
}

// refuse answers a request without waiting for its body, and closes its connection.
func (a *access) refuse(w http.ResponseWriter, reason, text string, status int) {
	a.refused.WithLabelValues(reason).Inc()
	w.Header().Set("Connection", "close")
	// The recorder of a test has no deadline.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(refusedBody))
	http.Error(w, text, status)
}

// limitAnswer gives the caller time to take an answer. Profiles and taps have no such limit: they take as long as their
// caller wants.
func limitAnswer(limit time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var deadline time.Time // none: the one of an earlier request of this connection must not stay
		if !strings.HasPrefix(r.URL.Path, "/debug/pprof/") && r.URL.Path != tapPath {
			deadline = time.Now().Add(limit)
		}
		_ = http.NewResponseController(w).SetWriteDeadline(deadline) // the recorder of a test has none
		next.ServeHTTP(w, r)
	})
}
