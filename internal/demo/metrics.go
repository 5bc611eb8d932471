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
		Help: "Events of the simulated call centre, by what became of them.",
	}, []string{"result"})
	if reg != nil {
		reg.MustRegister(total)
	}
	return &metrics{published: total.WithLabelValues("published"), failed: total.WithLabelValues("failed")}
}

// problemInterval is how often failures of the publisher are logged at most.
const problemInterval = 10 * time.Second

// problemReporter logs that events were lost, now and then.
type problemReporter struct {
	logger *zap.Logger
	lost   int // since the last line
	last   time.Time
}

func (r *problemReporter) failed(err error) {
	r.lost++
	if now := time.Now(); now.Sub(r.last) >= problemInterval {
		r.logger.Warn("simulated events could not be published", zap.Int("events", r.lost), zap.Error(err))
		r.lost, r.last = 0, now
	}
}
