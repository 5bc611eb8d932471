package redis

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/sequence"
)

// The bounds that messages can exceed, as metric labels.
const (
	boundLane         = "lane"         // Options.LaneQueue
	boundOrganization = "organization" // a part of Options.TotalQueue
	boundTotal        = "total"        // Options.TotalQueue
	boundHeld         = "held"         // what a lane holds back during a repair
)

type metrics struct {
	epochs      *prometheus.CounterVec // by the reason of their end
	outage      prometheus.Histogram
	canary      prometheus.Histogram
	overflow    *prometheus.CounterVec // by bound
	unconfirmed prometheus.Counter
	doubtful    prometheus.Counter
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
			"Subscribed connections to Redis that ended, by reason.", "reason", endReasons()...),
		outage: seconds("rte_backplane_outage_seconds",
			"Time between the last canary of a connection and the first one of the next.", 0.01),
		canary: seconds("rte_backplane_canary_seconds",
			"Time from publishing a canary to its arrival.", 0.000_1),
		overflow: vec("rte_backplane_overflow_total",
			"Times that the node dropped messages because it fell behind, by the exceeded bound.",
			"bound", boundLane, boundOrganization, boundTotal, boundHeld),
		unconfirmed: counter("rte_backplane_unconfirmed_total",
			"Lanes that could not be acquired."),
		doubtful: counter("rte_backplane_acquired_in_doubt_total",
			"Lanes that were acquired before Redis confirmed them; a loss is reported if that cost events."),
		duplicates: vec("rte_backplane_duplicates_total",
			"Duplicate events that were dropped, by how they were recognized.",
			"kind", sequence.DuplicateSequence.String(), sequence.DuplicateID.String()),
		gaps: vec("rte_backplane_gaps_total",
			"Gaps in the events of a lane, by how they ended.", "kind",
			sequence.GapRepaired.String(), sequence.GapFork.String(),
			sequence.GapLost.String(), sequence.GapPlain.String()),
		repaired: counter("rte_backplane_repaired_events_total",
			"Missing events that were read from a journal."),
		repairs: seconds("rte_backplane_repair_seconds",
			"Time that a repair held back the events of a lane.", 0.001),
		readErrors: counter("rte_backplane_journal_errors_total",
			"Reads of journals that failed and were retried."),
		peerAnswers: counter("rte_backplane_peer_answers_total",
			"Repairs that another node completed with events that have no journal."),
		losses: vec("rte_backplane_losses_total",
			"Reports that events of a lane are, or may be, missing, by reason.", "reason", lossReasons()...),
	}
	if reg != nil {
		reg.MustRegister(m.epochs, m.outage, m.canary, m.overflow, m.unconfirmed, m.doubtful, m.duplicates, m.gaps,
			m.repaired, m.repairs, m.readErrors, m.peerAnswers, m.losses)
		registerGauges(reg, b)
	}
	return m
}

// registerGauges registers metrics that are computed when they are read.
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
	gauge("rte_backplane_writes_refused", "1 while a connected Redis refuses writes, else 0.", nil, func() float64 {
		if h := b.Health(); h.Connected && h.Detail != "" {
			return 1
		}
		return 0
	})
	gauge("rte_backplane_isolated_organizations", "Organizations on the isolation connection of a Redis.", nil,
		func() float64 { return float64(b.index.isolated()) })
	gauge("rte_backplane_queue_bytes", "Messages that arrived and wait for the fan-out, in bytes.", nil,
		func() float64 { return float64(b.queued.Load()) })
	gauge("rte_backplane_queue_limit_bytes", "Bound of the queue, in bytes.", nil,
		func() float64 { return float64(b.options.TotalQueue) })
	gauge("rte_backplane_stalled_workers", "Workers that wait for the fan-out with events of an organization.", nil,
		func() float64 { return float64(b.scheduler.stalledWorkers()) })
	gauge("rte_backplane_stalled_workers_limit", "Bound of the stalled workers; beyond it all organizations wait.", nil,
		func() float64 { return stallWorkers })
	gauge("rte_backplane_peer_bytes", "Recent events without a journal, kept for other nodes, in bytes.", nil,
		func() float64 { return float64(b.recent.Used()) })
	gauge("rte_backplane_peer_limit_bytes", "Bound of the kept events, in bytes.", nil,
		func() float64 { return float64(max(0, b.options.PeerMemory)) })
	b.states.Register(reg)
	lanes := func(state string, count func(all, confirmed, failed int) int) {
		gauge("rte_backplane_lanes", "Lanes of this node, by the state of their subscription.",
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
