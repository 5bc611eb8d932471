package transport

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/transport/hubprotocol"
	"github.com/rte-server/rte-server/internal/transport/websocket"
)

// metrics are the metrics of the edge.
type metrics struct {
	connections      map[string]prometheus.Gauge // by protocol, protocolNone before the handshake
	refused          [numRequestKinds][numRefusals]prometheus.Counter
	negotiated       prometheus.Counter
	refreshed        prometheus.Counter
	clockDifferences prometheus.Counter
	waiting          prometheus.Gauge   // connections
	taken            prometheus.Counter // upgrades, by the entrance
	passed           prometheus.Counter // connections, to net/http
	handshakes       prometheus.Counter
	handshakesFailed map[handshakeFailure]prometheus.Counter
	receivedBytes    prometheus.Counter
	received         map[hubprotocol.MessageType]prometheus.Counter // messageOther for all that is ignored
	protocolErrors   map[string]prometheus.Counter                  // by violationKind, and those below
}

const (
	// protocolNone is the protocol of a connection before its handshake.
	protocolNone = "none"
	// messageOther counts the hub messages that the server ignores.
	messageOther hubprotocol.MessageType = 0

	protocolErrorMalformed = "malformed_message"
	protocolErrorTooLarge  = "message_too_large"
)

// newMetrics makes the metrics, with every label value at zero, and registers them if there is a metric registry.
func newMetrics(reg prometheus.Registerer, maxConnections int) *metrics {
	connections := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "rte_transport_connections",
		Help: "Connections that are open, by hub protocol; none: before the handshake.",
	}, []string{"protocol"})
	limit := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "rte_transport_connections_limit",
		Help: "Largest number of connections that this node accepts.",
	})
	limit.Set(float64(maxConnections))
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_transport_requests_refused_total",
		Help: "Requests that were refused, by purpose and reason.",
	}, []string{"request", "reason"})
	arrivals := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_transport_arrivals_total",
		Help: "Connections whose first bytes have come, by way: upgraded at once, or passed on to net/http.",
	}, []string{"way"})
	handshakesFailed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_transport_handshakes_failed_total",
		Help: "Connections that ended before they had a session, by reason.",
	}, []string{"reason"})
	received := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_transport_received_messages_total",
		Help: "Hub messages received, by type.",
	}, []string{"type"})
	protocolErrors := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_transport_protocol_errors_total",
		Help: "Connections closed because of what the client sent, by reason.",
	}, []string{"reason"})
	m := &metrics{
		connections:      map[string]prometheus.Gauge{},
		handshakesFailed: map[handshakeFailure]prometheus.Counter{},
		received:         map[hubprotocol.MessageType]prometheus.Counter{},
		protocolErrors:   map[string]prometheus.Counter{},
		negotiated: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rte_transport_negotiations_total",
			Help: "Negotiations granted.",
		}),
		refreshed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rte_transport_refreshes_total",
			Help: "Requests that replaced the token of a connection, here or on another node.",
		}),
		clockDifferences: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rte_transport_clock_differences_total",
			Help: "Connection tokens of other nodes that seemed to come from the future or to have expired.",
		}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rte_transport_connections_waiting",
			Help: "Accepted connections that have not sent a byte yet.",
		}),
		taken:  arrivals.WithLabelValues("upgraded"),
		passed: arrivals.WithLabelValues("passed"),
		handshakes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rte_transport_handshakes_total",
			Help: "Handshakes that began a session.",
		}),
		receivedBytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rte_transport_received_bytes_total",
			Help: "Bytes received on connections, WebSocket framing included.",
		}),
	}
	for _, protocol := range []string{
		protocolNone, fanout.ProtocolJSON.String(), fanout.ProtocolMessagePack.String(),
	} {
		m.connections[protocol] = connections.WithLabelValues(protocol)
	}
	for kind := range numRequestKinds {
		for reason := range numRefusals {
			m.refused[kind][reason] = refused.WithLabelValues(kind.String(), refusals[reason].label)
		}
	}
	for _, reason := range handshakeFailures {
		m.handshakesFailed[reason] = handshakesFailed.WithLabelValues(string(reason))
	}
	for kind, label := range map[hubprotocol.MessageType]string{
		hubprotocol.TypeInvocation:       "invocation",
		hubprotocol.TypeStreamInvocation: "stream_invocation",
		hubprotocol.TypePing:             "ping",
		hubprotocol.TypeClose:            "close",
		messageOther:                     "ignored",
	} {
		m.received[kind] = received.WithLabelValues(label)
	}
	for _, kind := range websocket.ViolationKinds() {
		m.protocolErrors[string(kind)] = protocolErrors.WithLabelValues(string(kind))
	}
	for _, reason := range []string{protocolErrorMalformed, protocolErrorTooLarge} {
		m.protocolErrors[reason] = protocolErrors.WithLabelValues(reason)
	}
	if reg != nil {
		for _, c := range []prometheus.Collector{
			connections, limit, refused, m.negotiated, m.refreshed, m.clockDifferences, m.waiting, arrivals, m.handshakes, handshakesFailed,
			m.receivedBytes, received, protocolErrors,
		} {
			reg.MustRegister(c)
		}
	}
	return m
}

// message counts a hub message.
func (m *metrics) message(kind hubprotocol.MessageType) {
	counter, ok := m.received[kind]
	if !ok {
		counter = m.received[messageOther]
	}
	counter.Inc()
}
