package directory

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// fetchResult is how a reading of a directory's source ended.
type fetchResult uint8

const (
	fetchOK      fetchResult = iota
	fetchFailed              // the source failed
	fetchRefused             // the source was not asked, because it fails
	fetchBusy                // the source was not asked, because too many ask it
	numFetchResults
)

// cachedMetrics say how a CachedDirectory fares.
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
		Help: "Entities looked for in the cache of the directory, by result.",
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
			Name: "rte_authz_directory_cache_bytes", Help: "Memory taken by cached records, about.",
		}),
		capacity: auto.NewGauge(prometheus.GaugeOpts{
			Name: "rte_authz_directory_cache_capacity_bytes", Help: "Memory that cached records may take.",
		}),
		open: auto.NewGauge(prometheus.GaugeOpts{
			Name: "rte_authz_directory_breaker_open", Help: "1 while the source of the directory is left alone because it fails.",
		}),
	}
	for result, label := range [numFetchResults]string{"ok", "failed", "refused", "busy"} {
		m.fetches[result] = fetches.WithLabelValues(label)
	}
	return m
}

// newMalformedTotal counts documents of a directory that are not of the form.
func newMalformedTotal(reg prometheus.Registerer) prometheus.Counter {
	auto := promauto.With(reg)
	malformed := auto.NewCounter(prometheus.CounterOpts{
		Name: "rte_authz_directory_malformed_total",
		Help: "Documents of the directory that were not of the documented form, and so taken for entities that do not exist.",
	})
	return malformed
}
