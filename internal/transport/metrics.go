package transport

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/transport/fallback"
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
	redemptionsSent  prometheus.Counter
	deflating        prometheus.Counter
	tickets          prometheus.Counter // connections opened by a ticket
	ticketsTooLarge  prometheus.Counter
	redemptionsLost  prometheus.Counter
	duplicates       prometheus.Counter
	waiting          prometheus.Gauge   // connections
	taken            prometheus.Counter // upgrades, by the entrance
	passed           prometheus.Counter // connections, to net/http
	handshakes       prometheus.Counter
	handshakesFailed map[handshakeFailure]prometheus.Counter
	receivedBytes    prometheus.Counter
	received         map[hubprotocol.MessageType]prometheus.Counter // messageOther for all that is ignored
	protocolErrors   map[string]prometheus.Counter                  // by violationKind, and those below
	throttled        map[string]prometheus.Counter
	slow             prometheus.Counter
	lifetimes        *lifetimes
	failures         prometheus.Counter
	unconfirmed      prometheus.Counter
	unclaimed        prometheus.Gauge // sockets
	held             prometheus.Counter
	pending          prometheus.Gauge
	httpConnections  prometheus.Gauge
	polls            map[fallback.Outcome]prometheus.Counter
	abandoned        prometheus.Counter
	polling          prometheus.Gauge
	proxyHeaders     map[proxyHeader]prometheus.Counter
	limit            prometheus.Gauge // of connections
}

const (
	// protocolNone is the protocol of a connection before its handshake.
	protocolNone = "none"
	// messageOther counts the hub messages that the server ignores.
	messageOther hubprotocol.MessageType = 0

	protocolErrorMalformed = "malformed_message"
	protocolErrorTooLarge  = "message_too_large"
	protocolErrorNoMemory  = "no_memory"

	throttledFrames = "frames"
	throttledCalls  = "calls"
	throttledPings  = "pings"
)

// newMetrics makes the metrics, with every label value at zero, and registers them if there is a metric registry.
func newMetrics(reg prometheus.Registerer, limits *Limits) *metrics {
	connections := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "rte_transport_connections",
		Help: "Connections that are open, by hub protocol; none: before the handshake.",
	}, []string{"protocol"})
	limit := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "rte_transport_connections_limit",
		Help: "Largest number of connections that this node accepts.",
	})
	limit.Set(float64(limits.Connections))
	pendingLimit := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "rte_transport_pending_limit_bytes",
		Help: "Largest value of rte_transport_pending_bytes.",
	})
	pendingLimit.Set(float64(limits.PendingBytes))
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
	throttled := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_transport_throttled_total",
		Help: "Times that a connection was above its rate: of frames or calls it was read more slowly, of pings not " +
			"answered.",
	}, []string{"rate"})
	proxyHeaders := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_transport_proxy_headers_total",
		Help: "Connections while proxy_protocol is on, by their header: it named the client, spoke for the proxy itself " +
			"(local), was absent or malformed, or the connection came from an address that is not trusted.",
	}, []string{"result"})
	polls := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_transport_polls_total",
		Help: "Requests of LongPolling that waited, by outcome: with messages, without messages in time (late), replaced " +
			"by another one, over with the connection, or given up by the client (gone). missing: connections that ended " +
			"because their client did not poll again.",
	}, []string{"outcome"})
	redemptions := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_transport_redemptions_total",
		Help: "Connection tokens used on this node, by whether the other nodes were notified. With lost ones, a second " +
			"connection with the same id is possible on another node.",
	}, []string{"result"})
	m := &metrics{
		lifetimes: newLifetimes(reg),
		limit:     limit,
		deflating: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rte_transport_deflate_total", Help: "Connections that negotiated permessage-deflate.",
		}),
		tickets: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rte_transport_tickets_total", Help: "Connections opened by a ticket in place of a token.",
		}),
		ticketsTooLarge: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rte_transport_tickets_too_large_total",
			Help: "Answers to negotiate without a ticket because the claims of the token are too large.",
		}),
		redemptionsSent: redemptions.WithLabelValues("sent"),
		redemptionsLost: redemptions.WithLabelValues("lost"),
		duplicates: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rte_transport_duplicates_total",
			Help: "Connections that ended because another node had accepted their connection token before.",
		}),
		proxyHeaders: map[proxyHeader]prometheus.Counter{},
		polls:        map[fallback.Outcome]prometheus.Counter{},
		abandoned:    polls.WithLabelValues("missing"),
		polling: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rte_transport_polls_waiting",
			Help: "Requests of LongPolling that wait for messages.",
		}),
		throttled: map[string]prometheus.Counter{},
		slow: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rte_transport_slow_total",
			Help: "Times that a client turned out to read slowly; what it may have to read is bounded from then on.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rte_transport_repeatable_failures_total",
			Help: "Connections that ended because of what the client sent and will probably send again.",
		}),
		unconfirmed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rte_transport_unconfirmed_total",
			Help: "Connections that ended because the client's operating system confirmed no bytes for timeouts.unconfirmed.",
		}),
		unclaimed: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rte_transport_unclaimed_sockets",
			Help: "Sockets of clients that had given their connection up and opened another socket for it all the same.",
		}),
		httpConnections: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rte_transport_http_connections",
			Help: "HTTP connections that are open and not upgraded, idle ones included.",
		}),
		pending: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rte_transport_pending_bytes",
			Help: "Memory of hub messages above 32 KiB that are incomplete or in a call, of all connections.",
		}),
		held: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rte_transport_requests_held_total",
			Help: "Negotiations and upgrades that were delayed because connections of the user failed lately.",
		}),
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
		hubprotocol.TypeCancelInvocation: "cancel_invocation",
		hubprotocol.TypePing:             "ping",
		hubprotocol.TypeClose:            "close",
		messageOther:                     "ignored",
	} {
		m.received[kind] = received.WithLabelValues(label)
	}
	for _, kind := range websocket.ViolationKinds() {
		m.protocolErrors[string(kind)] = protocolErrors.WithLabelValues(string(kind))
	}
	for _, reason := range []string{protocolErrorMalformed, protocolErrorTooLarge, protocolErrorNoMemory} {
		m.protocolErrors[reason] = protocolErrors.WithLabelValues(reason)
	}
	for _, rate := range []string{throttledFrames, throttledCalls, throttledPings} {
		m.throttled[rate] = throttled.WithLabelValues(rate)
	}
	for _, outcome := range fallback.Outcomes() {
		m.polls[outcome] = polls.WithLabelValues(outcome.String())
	}
	for _, result := range proxyHeaderResults {
		m.proxyHeaders[result] = proxyHeaders.WithLabelValues(string(result))
	}
	if reg != nil {
		for _, c := range []prometheus.Collector{
			connections, limit, refused, m.negotiated, m.refreshed, m.clockDifferences, redemptions, m.duplicates,
			m.tickets, m.ticketsTooLarge, m.deflating,
			m.waiting, arrivals, m.handshakes,
			handshakesFailed,
			m.receivedBytes, received, protocolErrors, throttled, m.slow, m.failures, m.held, m.pending, pendingLimit,
			m.httpConnections, proxyHeaders, polls, m.polling, m.unconfirmed, m.unclaimed,
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
