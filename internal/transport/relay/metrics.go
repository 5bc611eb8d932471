package relay

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are the metrics of a Relay.
type metrics struct {
	passed      prometheus.Gauge
	requests    map[outcome]prometheus.Counter
	finds       map[findOutcome]prometheus.Counter
	findSeconds prometheus.Observer
	unreachable prometheus.Counter
	toOwner     prometheus.Counter
	toClient    prometheus.Counter
	bufferBytes prometheus.Gauge
	incoming    prometheus.Gauge
	served      map[bool]prometheus.Counter // by whether it is a request for an owner
	refused     map[strangerReason]prometheus.Counter
}

// outcome is the result of passing a request on.
type outcome string

const (
	outcomeUpgraded outcome = "upgraded"
	outcomeAnswered outcome = "answered"
	outcomeFull     outcome = "full"
	outcomeOwner    outcome = "owner"
)

// findOutcome is the result of a request for an owner.
type findOutcome string

const (
	findFound   findOutcome = "found"
	findEnded   findOutcome = "ended"
	findUnknown findOutcome = "unknown"
	findCrowded findOutcome = "crowded"
)

// strangerReason is the reason why a connection to the relay port was refused.
type strangerReason string

const (
	refusedHandshake strangerReason = "handshake"
	refusedCrowded   strangerReason = "crowded"
	refusedFull      strangerReason = "full"
)

func newMetrics(reg prometheus.Registerer, limit int) *metrics {
	auto := promauto.With(reg)
	auto.NewGauge(prometheus.GaugeOpts{
		Name: "rte_relay_passed_limit",
		Help: "Largest value of rte_relay_passed, and of rte_relay_node_connections.",
	}).Set(float64(limit))
	requests := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_relay_requests_total",
		Help: "Requests of clients whose connection is on another node: their socket was passed on (upgraded), the owner " +
			"answered, this node passed on as many as it may (full), or the owner could not be reached or did not take the " +
			"client (owner).",
	}, []string{"outcome"})
	finds := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_relay_finds_total",
		Help: "Requests to all other nodes for the owner of a connection, by result: found, ended there, unknown to all, " +
			"or not sent because too many were under way for too long (crowded).",
	}, []string{"result"})
	bytes := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_relay_bytes_total",
		Help: "Bytes of sockets that were passed on, by direction.",
	}, []string{"to"})
	served := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_relay_served_total",
		Help: "Requests of other nodes: for the owner of a connection (find), or of a client (pass).",
	}, []string{"request"})
	refused := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_relay_refused_total",
		Help: "Connections to the relay port that were closed: the other end is no node with the same secret (handshake), " +
			"too many were in their handshake (crowded), or there were as many as may be (full).",
	}, []string{"reason"})
	m := &metrics{
		passed: auto.NewGauge(prometheus.GaugeOpts{
			Name: "rte_relay_passed",
			Help: "Sockets and requests of clients that this node passes on to the node that has their connection.",
		}),
		findSeconds: auto.NewHistogram(prometheus.HistogramOpts{
			Name:    "rte_relay_find_seconds",
			Help:    "Time until the search for the owner of a connection had a result.",
			Buckets: []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .2, .4, .9},
		}),
		unreachable: auto.NewCounter(prometheus.CounterOpts{
			Name: "rte_relay_unreachable_total",
			Help: "Connections to other nodes that failed; the node is left out for a second.",
		}),
		toOwner: bytes.WithLabelValues("owner"), toClient: bytes.WithLabelValues("client"),
		bufferBytes: auto.NewGauge(prometheus.GaugeOpts{
			Name: "rte_relay_buffer_bytes",
			Help: "Memory of the large buffers of sockets that are passed on, 16 MiB at most; further sockets copy in small " +
				"pieces.",
		}),
		incoming: auto.NewGauge(prometheus.GaugeOpts{
			Name: "rte_relay_node_connections",
			Help: "Connections of other nodes that wait for a request or its answer.",
		}),
		served: map[bool]prometheus.Counter{
			true: served.WithLabelValues("find"), false: served.WithLabelValues("pass"),
		},
		requests: map[outcome]prometheus.Counter{}, finds: map[findOutcome]prometheus.Counter{},
		refused: map[strangerReason]prometheus.Counter{},
	}
	for _, o := range []outcome{outcomeUpgraded, outcomeAnswered, outcomeFull, outcomeOwner} {
		m.requests[o] = requests.WithLabelValues(string(o))
	}
	for _, f := range []findOutcome{findFound, findEnded, findUnknown, findCrowded} {
		m.finds[f] = finds.WithLabelValues(string(f))
	}
	for _, s := range []strangerReason{refusedHandshake, refusedCrowded, refusedFull} {
		m.refused[s] = refused.WithLabelValues(string(s))
	}
	return m
}
