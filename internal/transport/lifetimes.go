package transport

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/transport/transports"
)

// lifetimes measures how long connections live: by close reason, and in the terms of the semantic conventions of
// OpenTelemetry for SignalR servers, which dashboards for ASP.NET Core use.
type lifetimes struct {
	byReason map[hub.CloseReason]prometheus.Observer
	byStatus [transports.Number]map[string]prometheus.Observer
	active   [transports.Number]prometheus.Gauge
}

// The values of signalr.connection.status.
const (
	statusNormal   = "normal_closure"
	statusTimeout  = "timeout"
	statusShutdown = "app_shutdown"
)

func newLifetimes(reg prometheus.Registerer) *lifetimes {
	auto := promauto.With(reg)
	durations := auto.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "rte_transport_connection_seconds",
		Help:    "Duration of ended connections, from the upgrade on, by close reason.",
		Buckets: []float64{1, 10, 60, 300, 900, 3600, 4 * 3600, 8 * 3600, 24 * 3600},
	}, []string{"reason"})
	standard := auto.NewHistogramVec(prometheus.HistogramOpts{
		Name: "signalr_server_connection_duration_seconds",
		Help: "Duration of ended connections (signalr.server.connection.duration of OpenTelemetry).",
		// The boundaries that the conventions recommend.
		Buckets: []float64{0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300},
	}, []string{"signalr_connection_status", "signalr_transport"})
	active := auto.NewGaugeVec(prometheus.GaugeOpts{
		Name: "signalr_server_active_connections",
		Help: "Open connections (signalr.server.active_connections of OpenTelemetry).",
	}, []string{"signalr_transport"})
	l := &lifetimes{byReason: map[hub.CloseReason]prometheus.Observer{}}
	for _, reason := range hub.CloseReasons() {
		l.byReason[reason] = durations.WithLabelValues(reason.String())
	}
	for t := range transports.Number {
		l.active[t] = active.WithLabelValues(t.Label())
		l.byStatus[t] = map[string]prometheus.Observer{}
		for _, status := range []string{statusNormal, statusTimeout, statusShutdown} {
			l.byStatus[t][status] = standard.WithLabelValues(status, t.Label())
		}
	}
	return l
}

// began counts a connection.
func (l *lifetimes) began(t transports.Transport) { l.active[t].Inc() }

// ended counts the end of a connection.
func (l *lifetimes) ended(t transports.Transport, reason hub.CloseReason, after time.Duration) {
	status := statusNormal
	switch reason {
	case hub.CloseSilent:
		status = statusTimeout
	case hub.CloseDrain:
		status = statusShutdown
	}
	l.active[t].Dec()
	l.byStatus[t][status].Observe(after.Seconds())
	l.byReason[reason].Observe(after.Seconds())
}
