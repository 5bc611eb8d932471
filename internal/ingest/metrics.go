package ingest

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
)

// publishMetrics count requests and events.
type publishMetrics struct {
	requests           *prometheus.CounterVec
	published, refused prometheus.Counter
	unrecorded         prometheus.Counter
}

func newPublishMetrics(reg prometheus.Registerer) *publishMetrics {
	events := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_console_published_events_total",
		Help: "Events that came by /api/publish: those the backplane took, and those that are no valid events.",
	}, []string{"result"})
	m := &publishMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rte_console_publish_requests_total",
			Help: "Requests to publish, by how they ended.",
		}, []string{"outcome"}),
		published: events.WithLabelValues("published"),
		refused:   events.WithLabelValues("refused"),
		unrecorded: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rte_console_publish_unrecorded_total",
			Help: "Requests with an Idempotency-Key whose end could not be recorded: repeated, they may publish again.",
		}),
	}
	for _, outcome := range []string{outcomeDone, outcomeMistake, outcomeUnavailable} {
		m.requests.WithLabelValues(outcome)
	}
	if reg != nil {
		reg.MustRegister(m.requests, events, m.unrecorded)
	}
	return m
}

// The values of the label outcome.
const (
	outcomeDone        = "done"
	outcomeMistake     = "mistake"     // an error of the caller
	outcomeUnavailable = "unavailable" // the caller may retry
)

// outcomeOf returns the label of a status.
func outcomeOf(status int) string {
	switch {
	case status < http.StatusBadRequest:
		return outcomeDone
	case status < http.StatusInternalServerError:
		return outcomeMistake
	default:
		return outcomeUnavailable
	}
}
