package console

import "github.com/prometheus/client_golang/prometheus"

// registerMetrics adds metrics of the readiness and of each of its checks to reg.
func registerMetrics(reg prometheus.Registerer, readiness *Readiness) {
	if reg == nil {
		return
	}
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rte_console_ready",
		Help: "1 while the node wants connections, 0 while it starts or drains.",
	}, func() float64 { return oneIf(readiness.isReady()) }))
	for _, state := range []string{StateStarting, StateReady, StateDegraded, StateDraining} {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "rte_console_state",
			Help:        "1 for the state of the node, as /readyz answers it, 0 for the others.",
			ConstLabels: prometheus.Labels{"state": state},
		}, func() float64 { return oneIf(readiness.Report().State == state) }))
	}
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
