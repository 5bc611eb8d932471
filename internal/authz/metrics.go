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

// register adds the collectors to a registry, if there is one.
func register(reg prometheus.Registerer, collectors ...prometheus.Collector) {
	if reg == nil {
		return
	}
	for _, c := range collectors {
		reg.MustRegister(c)
	}
}
