package token

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// verifierMetrics counts verified and refused tokens.
type verifierMetrics struct {
	tokens map[string]prometheus.Counter // by "ok" or the reason of the refusal
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

// tokenOK is the result of a token that was not refused.
const tokenOK = "ok"

// cacheMetrics count what a cache saves and takes.
type cacheMetrics struct {
	hits, misses   prometheus.Counter
	size, capacity prometheus.Gauge
}

func newCacheMetrics(reg prometheus.Registerer) *cacheMetrics {
	auto := promauto.With(reg)
	lookups := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_authz_token_cache_lookups_total",
		Help: "Tokens looked for among those verified before, by result.",
	}, []string{"result"})
	m := &cacheMetrics{
		hits: lookups.WithLabelValues("hit"), misses: lookups.WithLabelValues("miss"),
		size: auto.NewGauge(prometheus.GaugeOpts{
			Name: "rte_authz_token_cache_bytes", Help: "Memory taken by verified tokens, about.",
		}),
		capacity: auto.NewGauge(prometheus.GaugeOpts{
			Name: "rte_authz_token_cache_capacity_bytes", Help: "Memory that verified tokens may take.",
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

// revocationMetrics say how long a list of revocations is.
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
			Name: "rte_authz_revocations_capacity", Help: "Revocations that can be in force.",
		}),
		refused: auto.NewCounter(prometheus.CounterOpts{
			Name: "rte_authz_revocations_refused_total", Help: "Revocations not taken because the list is full.",
		}),
	}
	return m
}

// sharedMetrics say how the revocations of all nodes are kept the same.
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
		Help: "Attempts to store revocations of this node for all nodes, by result; lost are those that are not tried again.",
	}, []string{"result"})
	readings := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_authz_revocation_readings_total",
		Help: "Readings of the stored revocations of all nodes, by result.",
	}, []string{"result"})
	m := &sharedMetrics{
		kept: shared.WithLabelValues("ok"), keepFailed: shared.WithLabelValues("failed"), lost: shared.WithLabelValues("lost"),
		readings: readings.WithLabelValues("ok"), readingsFailed: readings.WithLabelValues("failed"),
		malformed: auto.NewGauge(prometheus.GaugeOpts{
			Name: "rte_authz_revocations_malformed", Help: "Stored revocations that the last reading could not understand.",
		}),
		unsaved: auto.NewGauge(prometheus.GaugeOpts{
			Name: "rte_authz_revocations_unsaved", Help: "Revocations of this node that could not be stored for the others yet.",
		}),
		unsavedCapacity: auto.NewGauge(prometheus.GaugeOpts{
			Name: "rte_authz_revocations_unsaved_capacity", Help: "How many of them are kept at most.",
		}),
	}
	return m
}
