package demo

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

type metrics struct {
	published prometheus.Counter
	failed    prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	total := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_demo_events_total",
		Help: "Events of the simulated call centre, by result.",
	}, []string{"result"})
	if reg != nil {
		reg.MustRegister(total)
	}
	return &metrics{published: total.WithLabelValues("published"), failed: total.WithLabelValues("failed")}
}

// problemInterval is the minimum time between two log lines about failures of the publisher.
const problemInterval = 10 * time.Second

// problemReporter logs lost events at intervals.
type problemReporter struct {
	logger *zap.Logger
	lost   int // events since the last line
	last   time.Time
}

func (r *problemReporter) failed(err error) {
	r.lost++
	if now := time.Now(); now.Sub(r.last) >= problemInterval {
		r.logger.Warn("simulated events could not be published", zap.Int("events", r.lost), zap.Error(err))
		r.lost, r.last = 0, now
	}
}
