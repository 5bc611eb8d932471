package authz

import "github.com/prometheus/client_golang/prometheus"

// verifierMetrics counts verified and refused tokens.
type verifierMetrics struct {
	tokens map[string]prometheus.Counter // by "ok" or the reason of the refusal
}

func newVerifierMetrics(reg prometheus.Registerer) *verifierMetrics {
	tokens := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_authz_tokens_total",
		Help: "Tokens checked, by result.",
	}, []string{"result"})
	m := &verifierMetrics{tokens: map[string]prometheus.Counter{tokenOK: tokens.WithLabelValues(tokenOK)}}
	for _, reason := range tokenErrors {
		m.tokens[string(reason)] = tokens.WithLabelValues(string(reason))
	}
	register(reg, tokens)
	return m
}

// tokenOK is the result of a token that was not refused.
const tokenOK = "ok"

// watchMetrics counts the readings of a watched file.
type watchMetrics struct {
	loaded, failed prometheus.Counter
}

// newWatchMetrics names the metric after what the file holds.
func newWatchMetrics(reg prometheus.Registerer, what string) *watchMetrics {
	reloads := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_authz_" + what + "_reloads_total",
		Help: "Changed versions of the " + what + " file, by whether they came into force.",
	}, []string{"result"})
	register(reg, reloads)
	return &watchMetrics{loaded: reloads.WithLabelValues("ok"), failed: reloads.WithLabelValues("refused")}
}

// tokenCacheMetrics count what a tokenCache saves and takes.
type tokenCacheMetrics struct {
	hits, misses   prometheus.Counter
	size, capacity prometheus.Gauge
}

func newTokenCacheMetrics(reg prometheus.Registerer) *tokenCacheMetrics {
	lookups := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_authz_token_cache_lookups_total",
		Help: "Tokens looked for among those verified before, by result.",
	}, []string{"result"})
	m := &tokenCacheMetrics{
		hits: lookups.WithLabelValues("hit"), misses: lookups.WithLabelValues("miss"),
		size: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rte_authz_token_cache_bytes", Help: "Memory taken by verified tokens, about.",
		}),
		capacity: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rte_authz_token_cache_capacity_bytes", Help: "Memory that verified tokens may take.",
		}),
	}
	register(reg, lookups, m.size, m.capacity)
	return m
}

// keySetMetrics count readings of key sets.
type keySetMetrics struct {
	read, failed prometheus.Counter
}

func newKeySetMetrics(reg prometheus.Registerer) *keySetMetrics {
	readings := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_authz_key_set_readings_total",
		Help: "Readings of key sets, by result.",
	}, []string{"result"})
	register(reg, readings)
	return &keySetMetrics{read: readings.WithLabelValues("ok"), failed: readings.WithLabelValues("failed")}
}

// revocationMetrics say how long a list of revocations is.
type revocationMetrics struct {
	length, capacity prometheus.Gauge
	refused          prometheus.Counter
}

func newRevocationMetrics(reg prometheus.Registerer) *revocationMetrics {
	m := &revocationMetrics{
		length: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rte_authz_revocations", Help: "Revocations in force.",
		}),
		capacity: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rte_authz_revocations_capacity", Help: "Revocations that can be in force.",
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rte_authz_revocations_refused_total", Help: "Revocations not taken because the list is full.",
		}),
	}
	register(reg, m.length, m.capacity, m.refused)
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
	shared := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_authz_revocations_shared_total",
		Help: "Attempts to store revocations of this node for all nodes, by result; lost are those that are not tried again.",
	}, []string{"result"})
	readings := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_authz_revocation_readings_total",
		Help: "Readings of the stored revocations of all nodes, by result.",
	}, []string{"result"})
	m := &sharedMetrics{
		kept: shared.WithLabelValues("ok"), keepFailed: shared.WithLabelValues("failed"), lost: shared.WithLabelValues("lost"),
		readings: readings.WithLabelValues("ok"), readingsFailed: readings.WithLabelValues("failed"),
		malformed: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rte_authz_revocations_malformed", Help: "Stored revocations that the last reading could not understand.",
		}),
		unsaved: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rte_authz_revocations_unsaved", Help: "Revocations of this node that could not be stored for the others yet.",
		}),
		unsavedCapacity: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rte_authz_revocations_unsaved_capacity", Help: "How many of them are kept at most.",
		}),
	}
	register(reg, shared, readings, m.malformed, m.unsaved, m.unsavedCapacity)
	return m
}

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
	lookups := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_authz_directory_lookups_total",
		Help: "Entities looked for in the cache of the directory, by result.",
	}, []string{"result"})
	fetches := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_authz_directory_fetches_total",
		Help: "Readings of the source of the directory, by result.",
	}, []string{"result"})
	m := &cachedMetrics{
		hits: lookups.WithLabelValues("hit"), misses: lookups.WithLabelValues("miss"),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "rte_authz_directory_fetch_seconds", Help: "Duration of readings of the source of the directory.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 13),
		}),
		size: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rte_authz_directory_cache_bytes", Help: "Memory taken by cached records, about.",
		}),
		capacity: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rte_authz_directory_cache_capacity_bytes", Help: "Memory that cached records may take.",
		}),
		open: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rte_authz_directory_breaker_open", Help: "1 while the source of the directory is left alone because it fails.",
		}),
	}
	for result, label := range [numFetchResults]string{"ok", "failed", "refused", "busy"} {
		m.fetches[result] = fetches.WithLabelValues(label)
	}
	register(reg, lookups, fetches, m.seconds, m.size, m.capacity, m.open)
	return m
}

// newMalformedTotal counts documents of a directory that are not of the form.
func newMalformedTotal(reg prometheus.Registerer) prometheus.Counter {
	malformed := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "rte_authz_directory_malformed_total",
		Help: "Documents of the directory that were not of the documented form, and so taken for entities that do not exist.",
	})
	register(reg, malformed)
	return malformed
}

// gateMetrics counts decisions.
type gateMetrics struct {
	decisions [numVerdicts]prometheus.Counter
}

func newGateMetrics(reg prometheus.Registerer) *gateMetrics {
	decisions := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_authz_decisions_total",
		Help: "Requested subscriptions decided about, by what decided.",
	}, []string{"verdict"})
	m := &gateMetrics{}
	for v := range numVerdicts {
		m.decisions[v] = decisions.WithLabelValues(verdicts[v].label)
	}
	register(reg, decisions)
	return m
}

// undecidedMetrics count what is to be decided again.
type undecidedMetrics struct {
	length, capacity prometheus.Gauge
	repeated         prometheus.Counter
}

func newUndecidedMetrics(reg prometheus.Registerer) *undecidedMetrics {
	m := &undecidedMetrics{
		length: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rte_authz_recheck_undecided", Help: "Changed entities that wait for a directory that is away.",
		}),
		capacity: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rte_authz_recheck_undecided_capacity",
			Help: "How many of them are named; if there are more, everything is looked at again.",
		}),
		repeated: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rte_authz_recheck_repeated_total",
			Help: "Times that subscriptions were looked at again because the directory was away before.",
		}),
	}
	register(reg, m.length, m.capacity, m.repeated)
	return m
}

// register adds the collectors to a registry, if there is one.
func register(reg prometheus.Registerer, collectors ...prometheus.Collector) {
	if reg == nil {
		return
	}
	for _, c := range collectors {
		reg.MustRegister(c)
	}
}
