package token

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// verifierMetrics count verified and refused tokens.
type verifierMetrics struct {
	tokens map[string]prometheus.Counter // by "ok" or the reason for the refusal
}

func newVerifierMetrics(reg prometheus.Registerer) *verifierMetrics {
	auto := promauto.With(reg)
	tokens := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_authz_tokens_total",
		Help: "Tokens checked, by result.",
	}, []string{"result"})
	m := &verifierMetrics{tokens: map[string]prometheus.Counter{tokenOK: tokens.WithLabelValues(tokenOK)}}
	for _, reason := range reasons {
		m.tokens[string(reason)] = tokens.WithLabelValues(string(reason))
	}
	return m
}

// tokenOK is the result of an accepted token.
const tokenOK = "ok"

// cacheMetrics describe a cache.
type cacheMetrics struct {
	hits, misses   prometheus.Counter
	size, capacity prometheus.Gauge
}

func newCacheMetrics(reg prometheus.Registerer) *cacheMetrics {
	auto := promauto.With(reg)
	lookups := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_authz_token_cache_lookups_total",
		Help: "Lookups of tokens in the cache of verified tokens, by result.",
	}, []string{"result"})
	m := &cacheMetrics{
		hits: lookups.WithLabelValues("hit"), misses: lookups.WithLabelValues("miss"),
		size: auto.NewGauge(prometheus.GaugeOpts{
			Name: "rte_authz_token_cache_bytes", Help: "Approximate memory used by verified tokens.",
		}),
		capacity: auto.NewGauge(prometheus.GaugeOpts{
			Name: "rte_authz_token_cache_capacity_bytes", Help: "Memory limit for verified tokens.",
		}),
	}
	return m
}

// keySetMetrics count readings of key sets.
type keySetMetrics struct {
	read, failed prometheus.Counter
}

func newKeySetMetrics(reg prometheus.Registerer) *keySetMetrics {
	auto := promauto.With(reg)
	readings := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_authz_key_set_readings_total",
		Help: "Readings of key sets, by result.",
	}, []string{"result"})
	return &keySetMetrics{read: readings.WithLabelValues("ok"), failed: readings.WithLabelValues("failed")}
}

// revocationMetrics describe a list of revocations.
type revocationMetrics struct {
	length, capacity prometheus.Gauge
	refused          prometheus.Counter
}

func newRevocationMetrics(reg prometheus.Registerer) *revocationMetrics {
	auto := promauto.With(reg)
	m := &revocationMetrics{
		length: auto.NewGauge(prometheus.GaugeOpts{
			Name: "rte_authz_revocations", Help: "Revocations in force.",
		}),
		capacity: auto.NewGauge(prometheus.GaugeOpts{
			Name: "rte_authz_revocations_capacity", Help: "Largest number of revocations in force.",
		}),
		refused: auto.NewCounter(prometheus.CounterOpts{
			Name: "rte_authz_revocations_refused_total", Help: "Revocations refused because the list was full.",
		}),
	}
	return m
}

// sharedMetrics describe the synchronization of revocations.
type sharedMetrics struct {
	kept, keepFailed, lost   prometheus.Counter
	readings, readingsFailed prometheus.Counter
	malformed                prometheus.Gauge
	unsaved, unsavedCapacity prometheus.Gauge
}

func newSharedMetrics(reg prometheus.Registerer) *sharedMetrics {
	auto := promauto.With(reg)
	shared := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_authz_revocations_shared_total",
		Help: "Attempts to store revocations of this node for all nodes, by result; a lost one is not retried.",
	}, []string{"result"})
	readings := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_authz_revocation_readings_total",
		Help: "Readings of the stored revocations of all nodes, by result.",
	}, []string{"result"})
	m := &sharedMetrics{
		kept: shared.WithLabelValues("ok"), keepFailed: shared.WithLabelValues("failed"),
		lost:     shared.WithLabelValues("lost"),
		readings: readings.WithLabelValues("ok"), readingsFailed: readings.WithLabelValues("failed"),
		malformed: auto.NewGauge(prometheus.GaugeOpts{
			Name: "rte_authz_revocations_malformed", Help: "Malformed revocations in the last reading of the store.",
		}),
		unsaved: auto.NewGauge(prometheus.GaugeOpts{
			Name: "rte_authz_revocations_unsaved", Help: "Revocations of this node that wait for the store.",
		}),
		unsavedCapacity: auto.NewGauge(prometheus.GaugeOpts{
			Name: "rte_authz_revocations_unsaved_capacity", Help: "Largest number of revocations that wait for the store.",
		}),
	}
	return m
}
