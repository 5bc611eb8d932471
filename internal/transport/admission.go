package transport

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rte-server/rte-server/internal/transport/admission"
)

// AdmissionOptions configure how fast clients come in, and how long they wait for that.
type AdmissionOptions struct {
	// Rate bounds the clients per second that negotiate, or connect without that. Burst is how many may come at once.
	// Further ones wait up to Wait. A Rate of 0 is no limit.
	Rate, Burst int
	Wait        time.Duration
	// FullWait is how long a negotiate or an upgrade waits for a place on a node with as many connections as it may have.
	// 0: it is refused at once. A stock client tries four times in 44 s and then gives up; waits make that longer.
	FullWait time.Duration
	// Short reports whether the node has no memory for another connection. nil: it always has.
	Short func() bool
}

const (
	// leastHeld and mostHeld bound the requests that wait for a place on a full node: an eighth of its connections. Each
	// takes a file descriptor and some 20 KB.
	leastHeld, mostHeld = 64, 4096
	// heldSockets and queuedSockets divide Limits.Sockets. On a full node, requests that wait may have half of the
	// sockets that no connection may have. Requests that wait for the rate get connections soon, so more of them may
	// wait.
	heldSockets, queuedSockets = 32, 2
	// mostQueued bounds the requests that wait for the rate.
	mostQueued = 1 << 14
)

// queueCapacity returns how many requests may wait, and how many of them while the node is full. The rate can serve
// half of them in time. The others are refused over the wait, so that their clients come back when there is room.
func queueCapacity(o *AdmissionOptions, l *Limits) (all, full int) {
	full = min(max(l.Connections/8, leastHeld), mostHeld)
	all = full
	if o.Rate > 0 {
		all = max(full, min(int(2*float64(o.Rate)*o.Wait.Seconds()), mostQueued))
	}
	if l.Sockets > 0 {
		full = min(full, max(l.Sockets/heldSockets, 1))
		all = min(all, max(l.Sockets/queuedSockets, 1))
	}
	return all, full
}

func newAdmission(o *Options, connections *connections) *admission.Queue {
	all, full := queueCapacity(&o.Admission, &o.Limits)
	return admission.New(admission.Options{
		Rate: o.Admission.Rate, Burst: o.Admission.Burst, Wait: o.Admission.Wait, RoomWait: o.Admission.FullWait,
		Capacity: all, RoomCapacity: full, Room: connections.free,
	})
}

// admissionMetrics are the metrics of requests that wait to come in.
type admissionMetrics struct{ granted, refused prometheus.Observer }

func newAdmissionMetrics(reg prometheus.Registerer, queue *admission.Queue) *admissionMetrics {
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "rte_transport_admission_wait_seconds",
		Help: "How long requests waited for the admission rate or for a place on a full node, by outcome; requests that " +
			"did not have to wait are not counted.",
		Buckets: []float64{.1, .5, 1, 2, 5, 10, 20, 40},
	}, []string{"outcome"})
	m := &admissionMetrics{seconds.WithLabelValues("granted"), seconds.WithLabelValues("refused")}
	if reg == nil {
		return m
	}
	limit := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "rte_transport_admission_capacity",
		Help: "Largest number of requests that may wait to come in.",
	})
	limit.Set(float64(queue.Capacity()))
	waiting := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rte_transport_admission_waiting",
		Help: "Negotiations and upgrades that wait for the admission rate or for a place on a full node.",
	}, func() float64 { return float64(queue.Waiting()) })
	reg.MustRegister(seconds, limit, waiting)
	return m
}

// refusedBy are the reasons of requests that the queue has refused.
var refusedBy = map[admission.Outcome]refusal{
	admission.Full:                  refusedFull,
	admission.Late:                  refusedRate,
	admission.Crowded:               refusedCrowded,
	admission.CrowdedByOrganization: refusedCrowdedOrganization,
	admission.CrowdedByUser:         refusedCrowdedUser,
	admission.CrowdedByAddress:      refusedCrowdedAddress,
	admission.Stopped:               refusedDraining,
	admission.Gone:                  refusedGone,
}

// awaitTurn waits until a client may come in. It returns the reason if the client may not.
func (h *Handler) awaitTurn(w http.ResponseWriter, r *request, kind admission.Kind) (refusal, bool) {
	if h.queue.Try(kind) {
		return 0, true
	}
	// The deadlines of the server are those of requests that are answered at once. A test's writer has none.
	control := http.NewResponseController(w)
	longest := max(h.options.Admission.Wait, h.options.Admission.FullWait)
	_ = control.SetReadDeadline(time.Time{})
	_ = control.SetWriteDeadline(time.Now().Add(longest + 2*h.options.Timeouts.Send))
	began := time.Now()
	outcome := h.queue.Admit(r.Context(), kind, admission.Client{
		Organization: r.owner.organization, User: r.owner.user, Network: r.owner.network(),
	})
	_ = control.SetReadDeadline(time.Now().Add(h.options.Timeouts.Send)) // for a body that nothing reads
	if outcome == admission.Granted {
		h.admission.granted.Observe(time.Since(began).Seconds())
		return 0, true
	}
	h.admission.refused.Observe(time.Since(began).Seconds())
	return refusedBy[outcome], false
}

// refusesAll returns the reason why the node refuses a client whoever it is, before it looks at the token. ok means
// that there is no such reason.
func (h *Handler) refusesAll(from *remote, kind admission.Kind) (reason refusal, ok bool) {
	switch {
	case h.options.Admission.Short != nil && h.options.Admission.Short():
		return refusedMemory, false
	case kind != admission.Announced && h.queue.Crowded():
		return refusedCrowded, false
	case !h.connections.roomFor(from):
		return refusedAddressQuota, false
	}
	return 0, true
}

// kind returns the kind of the request.
func (u *upgrade) kind() admission.Kind {
	if u.returns {
		return admission.Returning
	}
	return kindOfUpgrade(u.id)
}

// kindOfUpgrade returns the kind of an upgrade with a connection token, or without one.
func kindOfUpgrade(token string) admission.Kind {
	if token == "" {
		return admission.Direct
	}
	return admission.Announced
}
