package node

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// newMetricRegistry makes the metric registry of a node, with the metrics of the process.
func newMetricRegistry(version string) *prometheus.Registry {
	reg := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "rte_build_info",
		Help:        "Always 1; the labels say what is running.",
		ConstLabels: prometheus.Labels{"version": version, "go": runtime.Version()},
	})
	build.Set(1)
	reg.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	registerMemory(reg)
	return reg
}

// registerMemory registers the memory of the Go runtime and the limit that it keeps.
func registerMemory(reg prometheus.Registerer) {
	reg.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "rte_memory_used_bytes", Help: "Memory of the Go runtime that counts for its limit.",
		}, func() float64 {
			samples := []metrics.Sample{
				{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"},
			}
			metrics.Read(samples)
			return float64(samples[0].Value.Uint64() - samples[1].Value.Uint64())
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "rte_memory_limit_bytes",
			Help: "Limit of the memory of the Go runtime (memory.limit or GOMEMLIMIT); 0: none.",
		}, func() float64 {
			if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
				return float64(limit)
			}
			return 0
		}),
	)
}
