package console

import "github.com/prometheus/client_golang/prometheus"

// registerMetrics adds metrics of the readiness and of each of its checks to reg.
func registerMetrics(reg prometheus.Registerer, readiness *Readiness) {
	if reg == nil {
		return
	}
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rte_console_ready",
		Help: "1 while the node wants connections, 0 while it starts or stops.",
	}, func() float64 { return oneIf(readiness.isReady()) }))
	for _, check := range readiness.checks {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "rte_console_degraded",
			Help:        "1 while a check of the readiness sees a problem.",
			ConstLabels: prometheus.Labels{"check": check.Name},
		}, func() float64 { return oneIf(check.Problem() != "") }))
	}
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
