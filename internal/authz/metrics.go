package authz

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// gateMetrics counts decisions by their reason.
type gateMetrics struct {
	decisions [numReasons]prometheus.Counter
}

func newGateMetrics(reg prometheus.Registerer) *gateMetrics {
	auto := promauto.With(reg)
	decisions := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_authz_decisions_total",
		Help: "Decisions about requested subscriptions, by reason.",
	}, []string{"verdict"})
	m := &gateMetrics{}
	for why := range numReasons {
		m.decisions[why] = decisions.WithLabelValues(reasons[why].label)
	}
	return m
}

// undecidedMetrics describe the entities that Recheck must decide about again.
type undecidedMetrics struct {
	length, capacity prometheus.Gauge
	repeated         prometheus.Counter
}

func newUndecidedMetrics(reg prometheus.Registerer) *undecidedMetrics {
	auto := promauto.With(reg)
	m := &undecidedMetrics{
		length: auto.NewGauge(prometheus.GaugeOpts{
			Name: "rte_authz_recheck_undecided", Help: "Changed entities that wait until the directory is available again.",
		}),
		capacity: auto.NewGauge(prometheus.GaugeOpts{
			Name: "rte_authz_recheck_undecided_capacity",
			Help: "Entities that can wait by name; beyond them, all subscriptions are checked again.",
		}),
		repeated: auto.NewCounter(prometheus.CounterOpts{
			Name: "rte_authz_recheck_repeated_total",
			Help: "Repeated checks of subscriptions because the directory was unavailable before.",
		}),
	}
	return m
}
