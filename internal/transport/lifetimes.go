package transport

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/rte-server/rte-server/internal/hub"
)

// lifetimes measures how long connections live: by close reason, and in the terms of the semantic conventions of
// OpenTelemetry for SignalR servers, which dashboards for ASP.NET Core use.
type lifetimes struct {
	byReason map[hub.CloseReason]prometheus.Observer
	byStatus map[string]prometheus.Observer
	active   prometheus.Gauge
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
	l := &lifetimes{
		byReason: map[hub.CloseReason]prometheus.Observer{}, byStatus: map[string]prometheus.Observer{},
		active: active.WithLabelValues("web_sockets"),
	}
	for _, reason := range hub.CloseReasons() {
		l.byReason[reason] = durations.WithLabelValues(reason.String())
	}
	for _, status := range []string{statusNormal, statusTimeout, statusShutdown} {
		l.byStatus[status] = standard.WithLabelValues(status, "web_sockets")
	}
	return l
}

// began counts a connection.
func (l *lifetimes) began() { l.active.Inc() }

// ended counts the end of a connection.
func (l *lifetimes) ended(reason hub.CloseReason, after time.Duration) {
	status := statusNormal
	switch reason {
	case hub.CloseSilent:
		status = statusTimeout
	case hub.CloseDrain:
		status = statusShutdown
	}
	l.active.Dec()
	l.byStatus[status].Observe(after.Seconds())
	l.byReason[reason].Observe(after.Seconds())
}
