package events

import "github.com/prometheus/client_golang/prometheus"

// metrics are the metrics of an Ingress.
type metrics struct {
	refused    [reasonCount]prometheus.Counter // by Reason
	deviations [problemCount]prometheus.Counter
	checked    prometheus.Counter
	unknown    prometheus.Counter
}

// newMetrics returns the metrics and registers them, unless reg is nil.
func newMetrics(reg prometheus.Registerer, q *quarantine) *metrics {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_events_refused_total",
		Help: "Published messages that were refused, by reason.",
	}, []string{"reason"})
	deviations := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_events_deviations_total",
		Help: "Properties that differed from the catalog, in the events that were compared with it.",
	}, []string{"problem"})
	m := &metrics{
		checked: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rte_events_checked_total",
			Help: "Events that were compared with the catalog.",
		}),
		unknown: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rte_events_unknown_total",
			Help: "Events whose type is not in the catalog and that were passed on.",
		}),
	}
	for _, why := range Reasons() {
		m.refused[why] = refused.WithLabelValues(why.String())
	}
	for p := range problemCount {
		m.deviations[p] = deviations.WithLabelValues(p.String())
	}
	gauge := func(name, help string, value func() int) prometheus.Collector {
		options := prometheus.GaugeOpts{Name: name, Help: help}
		return prometheus.NewGaugeFunc(options, func() float64 { return float64(value()) })
	}
	if reg != nil {
		reg.MustRegister(
			refused, deviations, m.checked, m.unknown,
			gauge("rte_events_quarantine_length", "Messages in quarantine.", func() int {
				length, _, _ := q.counts()
				return length
			}),
			gauge("rte_events_quarantine_capacity", "Messages that fit into the quarantine.", func() int {
				_, capacity, _ := q.counts()
				return capacity
			}),
			prometheus.NewCounterFunc(prometheus.CounterOpts{
				Name: "rte_events_quarantine_replaced_total",
				Help: "Messages that newer ones replaced in the quarantine.",
			}, func() float64 {
				_, _, replaced := q.counts()
				return float64(replaced)
			}),
		)
	}
	return m
}
