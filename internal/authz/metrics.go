package authz

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// gateMetrics counts decisions.
type gateMetrics struct {
	decisions [numVerdicts]prometheus.Counter
}

func newGateMetrics(reg prometheus.Registerer) *gateMetrics {
	auto := promauto.With(reg)
	decisions := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_authz_decisions_total",
		Help: "Requested subscriptions decided about, by what decided.",
	}, []string{"verdict"})
	m := &gateMetrics{}
	for v := range numVerdicts {
		m.decisions[v] = decisions.WithLabelValues(verdicts[v].label)
	}
	return m
}

// undecidedMetrics count what is to be decided again.
type undecidedMetrics struct {
	length, capacity prometheus.Gauge
	repeated         prometheus.Counter
}

func newUndecidedMetrics(reg prometheus.Registerer) *undecidedMetrics {
	auto := promauto.With(reg)
	m := &undecidedMetrics{
		length: auto.NewGauge(prometheus.GaugeOpts{
			Name: "rte_authz_recheck_undecided", Help: "Changed entities that wait for a directory that is away.",
		}),
		capacity: auto.NewGauge(prometheus.GaugeOpts{
			Name: "rte_authz_recheck_undecided_capacity",
			Help: "How many of them are named; if there are more, everything is looked at again.",
		}),
		repeated: auto.NewCounter(prometheus.CounterOpts{
			Name: "rte_authz_recheck_repeated_total",
			Help: "Times that subscriptions were looked at again because the directory was away before.",
		}),
	}
	return m
}
