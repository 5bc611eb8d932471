package fanout

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are the counters of all shards of a dispatcher.
type metrics struct {
	heard, unheard, expired, malformed prometheus.Counter // events, by what became of them

	held, superseded, paced prometheus.Counter // events above the quota, by what became of them

	deliveries, writes, bytes, stalls prometheus.Counter
	dropped                           [numDropReasons]prometheus.Counter
	ends                              [numEndReasons]prometheus.Counter
	replays                           [numReplayOutcomes]prometheus.Counter

	full, waitingBytes prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer, d *Dispatcher) *metrics {
	auto := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return auto.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return auto.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	computed := func(name, help string, f func() float64) {
		auto.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f)
	}
	events := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_fanout_events_total",
		Help: "Events dispatched, by what became of them: heard by at least one listener of this node, unheard, expired, malformed.",
	}, []string{"outcome"})
	m := &metrics{
		heard:     events.WithLabelValues("heard"),
		unheard:   events.WithLabelValues("unheard"),
		expired:   events.WithLabelValues("expired"),
		malformed: events.WithLabelValues("malformed"),

		deliveries: counter("rte_fanout_deliveries_total", "Event frames given to sockets."),
		writes:     counter("rte_fanout_writes_total", "Writes to sockets; deliveries divided by writes is the batching."),
		bytes:      counter("rte_fanout_written_bytes_total", "Bytes that sockets took at the first attempt."),
		stalls:     counter("rte_fanout_dispatch_stalls_total", "Times that a dispatch waited because its organization's backlog, or that of all, was full."),

		full:         gauge("rte_fanout_outboxes_full", "Outboxes whose socket is full."),
		waitingBytes: gauge("rte_fanout_outbox_waiting_bytes", "Memory of the frames that wait behind full sockets, in bytes; a frame that several wait for counts for each."),
	}
	computed("rte_fanout_outbox_capacity_bytes", "Bytes that may wait in one outbox before its session ends as slow.",
		func() float64 { return float64(d.options.OutboxBytes) })
	computed("rte_fanout_backlog_deliveries", "Deliveries that the events under way stand for, all organizations together.",
		func() float64 { return float64(d.total.Pending()) })
	computed("rte_fanout_backlog_capacity_deliveries", "Backlog of all organizations at which dispatching waits; one of them may have a tenth of it.",
		func() float64 { return float64(d.options.backlogTotal()) })
	quota := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_fanout_quota_events_total",
		Help: "Events above their organization's quota: states that were held back, those that took the place of one, and others that waited.",
	}, []string{"outcome"})
	m.held, m.superseded, m.paced = quota.WithLabelValues("held"), quota.WithLabelValues("superseded"), quota.WithLabelValues("paced")
	computed("rte_fanout_quota_events_held", "States that are held back.", func() float64 { return float64(d.held.total.Load()) })
	computed("rte_fanout_quota_events_held_capacity", "States of all organizations that can be held back; past that they wait.",
		func() float64 { return maxHeldTotal })
	dropped := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_fanout_dropped_total",
		Help: "Event frames that were not delivered to a listener, by reason.",
	}, []string{"reason"})
	for r := range numDropReasons {
		m.dropped[r] = dropped.WithLabelValues(r.String())
	}
	ends := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_fanout_outboxes_ended_total",
		Help: "Outboxes that ended, by reason.",
	}, []string{"reason"})
	for r := range numEndReasons {
		m.ends[r] = ends.WithLabelValues(r.String())
	}
	replays := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_fanout_replays_total",
		Help: "States for new listeners, by what became of them: sent, superseded by what the listener had received, expired, ended, malformed.",
	}, []string{"outcome"})
	for r := range numReplayOutcomes {
		m.replays[r] = replays.WithLabelValues(r.String())
	}
	return m
}
