package tap

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are the metrics of the taps.
type metrics struct {
	copied, refused prometheus.Counter
	dropped         [NumReasons]prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, t *Taps) (m metrics) {
	auto := promauto.With(reg)
	auto.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rte_tap_open", Help: "Live taps that copy events of this node.",
	}, func() float64 { return float64(t.Len()) })
	auto.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rte_tap_capacity", Help: "Largest number of live taps.",
	}, func() float64 { return float64(t.options.Max) })
	m.copied = auto.NewCounter(prometheus.CounterOpts{
		Name: "rte_tap_events_total", Help: "Events that taps copied.",
	})
	m.refused = auto.NewCounter(prometheus.CounterOpts{
		Name: "rte_tap_refused_total", Help: "Taps that were refused because there were as many as there may be.",
	})
	dropped := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_tap_dropped_total",
		Help: "Events that taps selected and did not copy: left out by the sample, above the rate, without room in the " +
			"queue, or while the node was short of memory.",
	}, []string{"reason"})
	for why := range NumReasons {
		m.dropped[why] = dropped.WithLabelValues(why.String())
	}
	return m
}
