package trace

import "github.com/prometheus/client_golang/prometheus"

// register exports how full the rings are.
func (l *Log) register(reg prometheus.Registerer) {
	if reg == nil {
		return
	}
	length := func() (n int, replaced uint64) {
		for i := range l.events {
			length, gone := l.events[i].counts()
			n, replaced = n+length, replaced+gone
		}
		return n, replaced
	}
	asides := func() (n int, replaced uint64) {
		for i := range l.asides {
			length, gone := l.asides[i].counts()
			n, replaced = n+length, replaced+gone
		}
		return n, replaced
	}
	for kind, read := range map[string]func() (int, uint64){"event": length, "aside": asides} {
		labels := prometheus.Labels{"kind": kind}
		capacity := stripes * len(l.events[0].kept)
		if kind == "aside" {
			capacity = stripes * len(l.asides[0].kept)
		}
		reg.MustRegister(
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "rte_trace_entries", ConstLabels: labels,
				Help: "Records of events, and of deliveries that were not plainly sent (aside), that the node keeps.",
			}, func() float64 { n, _ := read(); return float64(n) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "rte_trace_capacity_entries", ConstLabels: labels, Help: "Records that the node can keep.",
			}, func() float64 { return float64(capacity) }),
			prometheus.NewCounterFunc(prometheus.CounterOpts{
				Name: "rte_trace_replaced_total", ConstLabels: labels, Help: "Records that newer ones replaced.",
			}, func() float64 { _, gone := read(); return float64(gone) }),
		)
	}
	reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "rte_trace_dropped_total",
		Help: "Records that were not kept, because all rings were in use at that moment.",
	}, func() float64 { return float64(l.dropped.Load()) }))
}
