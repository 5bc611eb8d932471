package directory

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// fetchResult is the result of a reading of the source.
type fetchResult uint8

const (
	fetchOK      fetchResult = iota
	fetchFailed              // the source failed
	fetchRefused             // the source was not read, because the circuit breaker is open
	fetchBusy                // the source was not read, because too many readings were in progress
	numFetchResults
)

// cachedMetrics describe a Cached directory.
type cachedMetrics struct {
	hits, misses   prometheus.Counter
	fetches        [numFetchResults]prometheus.Counter
	seconds        prometheus.Histogram
	size, capacity prometheus.Gauge
	open           prometheus.Gauge
}

func newCachedMetrics(reg prometheus.Registerer) *cachedMetrics {
	auto := promauto.With(reg)
	lookups := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_authz_directory_lookups_total",
		Help: "Lookups of entities in the cache of the directory, by result.",
	}, []string{"result"})
	fetches := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_authz_directory_fetches_total",
		Help: "Readings of the source of the directory, by result.",
	}, []string{"result"})
	m := &cachedMetrics{
		hits: lookups.WithLabelValues("hit"), misses: lookups.WithLabelValues("miss"),
		seconds: auto.NewHistogram(prometheus.HistogramOpts{
			Name: "rte_authz_directory_fetch_seconds", Help: "Duration of readings of the source of the directory.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 13),
		}),
		size: auto.NewGauge(prometheus.GaugeOpts{
			Name: "rte_authz_directory_cache_bytes", Help: "Approximate memory used by cached records.",
		}),
		capacity: auto.NewGauge(prometheus.GaugeOpts{
			Name: "rte_authz_directory_cache_capacity_bytes", Help: "Memory limit for cached records.",
		}),
		open: auto.NewGauge(prometheus.GaugeOpts{
			Name: "rte_authz_directory_breaker_open",
			Help: "1 while the circuit breaker keeps readings away from a failing source of the directory.",
		}),
	}
	for result, label := range [numFetchResults]string{"ok", "failed", "refused", "busy"} {
		m.fetches[result] = fetches.WithLabelValues(label)
	}
	return m
}

// newMalformedTotal makes the counter of malformed documents.
func newMalformedTotal(reg prometheus.Registerer) prometheus.Counter {
	auto := promauto.With(reg)
	malformed := auto.NewCounter(prometheus.CounterOpts{
		Name: "rte_authz_directory_malformed_total",
		Help: "Malformed documents of the directory, treated as entities that do not exist.",
	})
	return malformed
}
