package redis

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what a Backplane counts.
type metrics struct {
	connected   prometheus.Gauge
	epochs      *prometheus.CounterVec // by the reason for their end
	canary      prometheus.Histogram
	overflow    *prometheus.CounterVec // by the bound that was reached
	unconfirmed prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, b *Backplane) *metrics {
	m := &metrics{
		connected: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rte_backplane_connected",
			Help: "1 while canaries arrive from Redis, else 0.",
		}),
		epochs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rte_backplane_epochs_total",
			Help: "Subscribed connections to Redis that ended, by the reason.",
		}, []string{"reason"}),
		canary: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "rte_backplane_canary_seconds",
			Help:    "Time from publishing a canary to its arrival.",
			Buckets: prometheus.ExponentialBuckets(0.000_1, 4, 9),
		}),
		overflow: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rte_backplane_overflow_total",
			Help: "Messages lost because the node fell behind, by the bound that was reached.",
		}, []string{"bound"}),
		unconfirmed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rte_backplane_unconfirmed_total",
			Help: "Lanes that could not be acquired.",
		}),
	}
	for r := range numEndReasons {
		m.epochs.WithLabelValues(r.String())
	}
	m.overflow.WithLabelValues("lane")
	m.overflow.WithLabelValues("total")
	if reg == nil {
		return m
	}
	lanes := func(state string, count func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "rte_backplane_lanes",
			Help:        "Lanes of this node, by what Redis said to their subscription.",
			ConstLabels: prometheus.Labels{"state": state},
		}, func() float64 { return float64(count()) })
	}
	reg.MustRegister(m.connected, m.epochs, m.canary, m.overflow, m.unconfirmed,
		lanes("confirmed", func() int { _, confirmed, _ := b.table.count(); return confirmed }),
		lanes("failed", func() int { _, _, failed := b.table.count(); return failed }),
		lanes("pending", func() int { all, confirmed, failed := b.table.count(); return all - confirmed - failed }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "rte_backplane_queue_bytes",
			Help: "Messages that arrived and were not handed to the fan-out yet, in bytes.",
		}, func() float64 { return float64(b.queued.Load()) }))
	return m
}

// ended counts the end of an epoch.
func (m *metrics) ended(err error) {
	reason := endProtocol
	var why *ended
	if errors.As(err, &why) {
		reason = why.reason
	}
	m.epochs.WithLabelValues(reason.String()).Inc()
}

func (m *metrics) setConnected(connected bool) {
	if connected {
		m.connected.Set(1)
		return
	}
	m.connected.Set(0)
}
