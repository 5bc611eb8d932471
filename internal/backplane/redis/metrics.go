package redis

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/sequence"
)

// The bounds that messages can run into, as metric labels.
const (
	boundLane         = "lane"         // Options.LaneQueue
	boundOrganization = "organization" // a part of Options.TotalQueue
	boundTotal        = "total"        // Options.TotalQueue
	boundHeld         = "held"         // what a lane holds back during a repair
)

// metrics are what a Backplane counts.
type metrics struct {
	epochs      *prometheus.CounterVec // by the reason for their end
	outage      prometheus.Histogram
	canary      prometheus.Histogram
	overflow    *prometheus.CounterVec // by bound
	unconfirmed prometheus.Counter
	duplicates  *prometheus.CounterVec // by kind
	gaps        *prometheus.CounterVec // by kind
	repaired    prometheus.Counter
	repairs     prometheus.Histogram
	readErrors  prometheus.Counter
	peerAnswers prometheus.Counter
	losses      *prometheus.CounterVec // by reason
}

func newMetrics(reg prometheus.Registerer, b *Backplane) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	vec := func(name, help, label string, values ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
		for _, value := range values {
			v.WithLabelValues(value)
		}
		return v
	}
	seconds := func(name, help string, first float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(first, 4, 9),
		})
	}
	m := &metrics{
		epochs: vec("rte_backplane_epochs_total",
			"Subscribed connections to Redis that ended, by the reason.", "reason", endReasons()...),
		outage: seconds("rte_backplane_outage_seconds",
			"Time between the last canary of a connection and the first one of the next.", 0.01),
		canary: seconds("rte_backplane_canary_seconds",
			"Time from publishing a canary to its arrival.", 0.000_1),
		overflow: vec("rte_backplane_overflow_total",
			"Times that messages were given up because the node fell behind, by the bound that was reached.",
			"bound", boundLane, boundOrganization, boundTotal, boundHeld),
		unconfirmed: counter("rte_backplane_unconfirmed_total",
			"Lanes that could not be acquired."),
		duplicates: vec("rte_backplane_duplicates_total",
			"Events that arrived again and were dropped, by what gave them away.",
			"kind", sequence.DuplicateSequence.String(), sequence.DuplicateID.String()),
		gaps: vec("rte_backplane_gaps_total",
			"Gaps in the events of a lane, by how they ended.", "kind",
			sequence.GapRepaired.String(), sequence.GapFork.String(), sequence.GapLost.String(), sequence.GapPlain.String()),
		repaired: counter("rte_backplane_repaired_events_total",
			"Events that were read from a journal because they had not arrived."),
		repairs: seconds("rte_backplane_repair_seconds",
			"Time for which a lane's events were held back by a repair.", 0.001),
		readErrors: counter("rte_backplane_journal_errors_total",
			"Reads of journals that failed and were tried again."),
		peerAnswers: counter("rte_backplane_peer_answers_total",
			"Repairs that another node completed with events that have no journal."),
		losses: vec("rte_backplane_losses_total",
			"Times that events of a lane may be missing, or are, by the reason.", "reason", lossReasons()...),
	}
	if reg != nil {
		reg.MustRegister(m.epochs, m.outage, m.canary, m.overflow, m.unconfirmed, m.duplicates, m.gaps, m.repaired,
			m.repairs, m.readErrors, m.peerAnswers, m.losses)
		registerGauges(reg, b)
	}
	return m
}

// registerGauges shows what is known without counting.
func registerGauges(reg prometheus.Registerer, b *Backplane) {
	gauge := func(name, help string, labels prometheus.Labels, value func() float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, value))
	}
	gauge("rte_backplane_connected", "1 while canaries arrive from Redis, else 0.", nil, func() float64 {
		if b.Health().Connected {
			return 1
		}
		return 0
	})
	gauge("rte_backplane_queue_bytes", "Messages that arrived and were not handed to the fan-out yet, in bytes.", nil,
		func() float64 { return float64(b.queued.Load()) })
	gauge("rte_backplane_queue_limit_bytes", "What the queue may hold at most, in bytes.", nil,
		func() float64 { return float64(b.options.TotalQueue) })
	gauge("rte_backplane_stalled_workers", "Workers that the fan-out keeps waiting with events of an organization.", nil,
		func() float64 { return float64(b.scheduler.stalled()) })
	gauge("rte_backplane_stalled_workers_limit", "How many of them are replaced at most; then all organizations wait.", nil,
		func() float64 { return stallWorkers })
	gauge("rte_backplane_peer_bytes", "Events without a journal that are kept for nodes that missed them, in bytes.", nil,
		func() float64 { return float64(b.recent.Used()) })
	gauge("rte_backplane_peer_limit_bytes", "What may be kept of them at most, in bytes.", nil,
		func() float64 { return float64(max(0, b.options.PeerMemory)) })
	b.states.Register(reg)
	lanes := func(state string, count func(all, confirmed, failed int) int) {
		gauge("rte_backplane_lanes", "Lanes of this node, by what Redis said to their subscription.",
			prometheus.Labels{"state": state}, func() float64 { return float64(count(b.index.count())) })
	}
	lanes("confirmed", func(_, confirmed, _ int) int { return confirmed })
	lanes("failed", func(_, _, failed int) int { return failed })
	lanes("pending", func(all, confirmed, failed int) int { return all - confirmed - failed })
}

func endReasons() []string {
	var names []string
	for r := range numEndReasons {
		names = append(names, r.String())
	}
	return names
}

func lossReasons() []string {
	var names []string
	for _, r := range backplane.LossReasons() {
		names = append(names, r.String())
	}
	return names
}

// ended counts the end of an epoch.
func (m *metrics) ended(err error) {
	reason := endProtocol
	if why, ok := errors.AsType[*ended](err); ok {
		reason = why.reason
	}
	m.epochs.WithLabelValues(reason.String()).Inc()
}
