package backplane

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rte-server/rte-server/internal/events"
)

// Reasons to refuse a message, beside those of package events.
const (
	// refusedFrame: the message begins with "#" and has no valid position.
	refusedFrame = "frame"
	// refusedForeign: the event belongs to another organization than its lane.
	refusedForeign = "foreign_organization"
)

// metrics are the metrics of a Receiver.
type metrics struct {
	received   prometheus.Counter
	dispatched prometheus.Counter
	refused    *prometheus.CounterVec // by reason
}

// RefusedReasons returns the reasons for which a Receiver refuses messages.
func RefusedReasons() []string {
	reasons := []string{refusedFrame, refusedForeign}
	for _, reason := range events.Reasons() {
		reasons = append(reasons, reason.String())
	}
	return reasons
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		received: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rte_backplane_received_total",
			Help: "Messages that arrived on the lanes of this node.",
		}),
		dispatched: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rte_backplane_dispatched_total",
			Help: "Events handed to the fan-out.",
		}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rte_backplane_refused_total",
			Help: "Messages that are not an event of the organization of their lane, by reason.",
		}, []string{"reason"}),
	}
	for _, reason := range RefusedReasons() {
		m.refused.WithLabelValues(reason)
	}
	if reg != nil {
		reg.MustRegister(m.received, m.dispatched, m.refused)
	}
	return m
}
