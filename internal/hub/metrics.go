package hub

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/hub/invoker"
)

// metrics are the metrics of a Hub.
type metrics struct {
	subscriptions prometheus.Gauge
	closed        [numCloseReasons]prometheus.Counter

	invocations [numMethods][invoker.NumOutcomes]prometheus.Counter
	seconds     prometheus.Histogram

	// Items of Subscribe by outcome.
	granted, refused, limited, unavailable prometheus.Counter

	overQuota prometheus.Counter // of limited

	// Topics that clients wanted a snapshot of, by outcome.
	snapshotAnswered, snapshotUnavailable prometheus.Counter

	rechecks, ended, traced prometheus.Counter

	answersWaited prometheus.Counter

	slowOf, lostOf *organizationCounter

	lost                  prometheus.Counter
	resyncing, resyncHeld prometheus.Gauge
	resynced              [numNotifications]prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, h *Hub) *metrics {
	auto := promauto.With(reg)
	auto.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rte_hub_sessions_open",
		Help: "Sessions that are open.",
	}, func() float64 { return float64(h.sessions.Len()) })
	auto.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rte_hub_sessions_without_subscriptions",
		Help: "Sessions that were opened more than a few seconds ago and have no subscription.",
	}, func() float64 { return float64(h.idle.old(h.second())) })
	auto.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rte_hub_sessions_undecided",
		Help: "Sessions with items of Subscribe that were temporarily unavailable and are not decided yet.",
	}, func() float64 { return float64(h.undecided.len()) })
	auto.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rte_hub_refusals_kept",
		Help: "Refusals that can be looked up by their trace.",
	}, func() float64 { return float64(h.refusals.len()) })
	auto.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rte_hub_refusals_limit",
		Help: "Refusals that can be kept; each further one replaces the oldest.",
	}, func() float64 { return maxRefusals })

	auto.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rte_hub_answer_bytes",
		Help: "Memory that is reserved for large answers that clients have not taken.",
	}, func() float64 { return float64(h.answers.used()) })
	auto.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rte_hub_answer_bytes_limit",
		Help: "Memory that can be reserved for large answers; further calls wait.",
	}, func() float64 { return float64(h.options.Limits.AnswerBytes) })

	m := &metrics{
		subscriptions: auto.NewGauge(prometheus.GaugeOpts{
			Name: "rte_hub_subscriptions_active",
			Help: "Subscriptions of all sessions.",
		}),
		seconds: auto.NewHistogram(prometheus.HistogramOpts{
			Name:    "rte_hub_invocation_seconds",
			Help:    "Time from a call to its answer, waiting for a place in the pool included.",
			Buckets: []float64{50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 50e-3, .1, .5, 1, 2.5, 10},
		}),
		rechecks: auto.NewCounter(prometheus.CounterOpts{
			Name: "rte_hub_rechecks_total",
			Help: "Rounds through the sessions after the directory or the policy changed.",
		}),
		ended: auto.NewCounter(prometheus.CounterOpts{
			Name: "rte_hub_subscriptions_ended_total",
			Help: "Subscriptions that ended because they were no longer allowed.",
		}),
		traced: auto.NewCounter(prometheus.CounterOpts{
			Name: "rte_hub_refusals_traced_total",
			Help: "Calls of Subscribe with refusals whose client received a trace.",
		}),
		overQuota: auto.NewCounter(prometheus.CounterOpts{
			Name: "rte_hub_subscribe_items_over_quota_total",
			Help: "Items of Subscribe that were refused because the quota of their organization was used up.",
		}),
		answersWaited: auto.NewCounter(prometheus.CounterOpts{
			Name: "rte_hub_answers_waited_total",
			Help: "Calls that had to wait for memory for their answer.",
		}),
		lost: auto.NewCounter(prometheus.CounterOpts{
			Name: "rte_hub_losses_total",
			Help: "Losses of events in a lane that clients are notified of.",
		}),
		resyncing: auto.NewGauge(prometheus.GaugeOpts{
			Name: "rte_hub_resync_waiting",
			Help: "Clients that wait to be notified of a loss of events, or that they can subscribe again.",
		}),
		resyncHeld: auto.NewGauge(prometheus.GaugeOpts{
			Name: "rte_hub_resync_held",
			Help: "1 while connections are not closed for a loss because their clients could not come back at once.",
		}),
	}
	m.slowOf = newOrganizationCounter(auto, "rte_hub_sessions_slow_by_organization_total",
		"Sessions that ended because the client did not keep up, of the first 100 organizations with one; other: the rest.")
	m.lostOf = newOrganizationCounter(auto, "rte_hub_losses_by_organization_total",
		"Losses of events in a lane, of the first 100 organizations that had one; other: the rest.")
	closed := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_hub_sessions_closed_total",
		Help: "Sessions that ended, by reason.",
	}, []string{"reason"})
	for r := range numCloseReasons {
		m.closed[r] = closed.WithLabelValues(r.String())
	}
	resynced := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_hub_resync_clients_total",
		Help: "Clients that had to be notified of a loss of events, or that they can subscribe again: by a notice, by the " +
			"end of the connection, or gone before.",
	}, []string{"how"})
	for how := range numNotifications {
		m.resynced[how] = resynced.WithLabelValues(how.String())
	}
	invocations := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_hub_invocations_total",
		Help: "Calls of clients, by method and outcome.",
	}, []string{"method", "outcome"})
	for method := range numMethods {
		for how := range invoker.NumOutcomes {
			m.invocations[method][how] = invocations.WithLabelValues(method.String(), how.String())
		}
	}
	items := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_hub_subscribe_items_total",
		Help: "Items of Subscribe: granted, refused by validation or policy, over a limit, or unavailable because of the " +
			"directory or the backplane.",
	}, []string{"outcome"})
	snapshots := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_hub_snapshot_topics_total",
		Help: "Topics that clients wanted a snapshot of: answered, even if there was none, or unavailable in time.",
	}, []string{"outcome"})
	m.snapshotAnswered = snapshots.WithLabelValues("answered")
	m.snapshotUnavailable = snapshots.WithLabelValues("unavailable")
	m.granted = items.WithLabelValues("granted")
	m.refused = items.WithLabelValues("refused")
	m.limited = items.WithLabelValues("limited")
	m.unavailable = items.WithLabelValues("unavailable")
	return m
}

// count counts the items of a Subscribe.
func (m *metrics) count(results []SubscriptionResult) {
	for i := range results {
		switch r := &results[i]; {
		case r.Subscribed:
			m.granted.Inc()
		case *r.Message == refusedLimit:
			m.limited.Inc()
		case *r.Message == authz.RefusedUnavailable:
			m.unavailable.Inc()
		default:
			m.refused.Inc()
		}
	}
}
