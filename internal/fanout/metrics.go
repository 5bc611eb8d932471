package fanout

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/rte-server/rte-server/internal/events"
)

// metrics are the metrics of a dispatcher and its shards.
type metrics struct {
	matched, unmatched, expired, malformed prometheus.Counter // events by outcome; matched: with subscribers

	held, superseded, paced prometheus.Counter // events above the quota by outcome

	deliveries, writes, bytes, stalls prometheus.Counter
	dropped                           [numDropReasons]prometheus.Counter
	ends                              [numEndReasons]prometheus.Counter
	replays                           [numReplayOutcomes]prometheus.Counter

	full, waitingBytes, detached, keptBytes prometheus.Gauge

	resumptions [numResumptionOutcomes]prometheus.Counter
	sentAgain   prometheus.Counter

	sizes        [len(outboxBounds) + 1]prometheus.Gauge
	byType       *typeCounters
	delays, ages *ageHistogram
	ahead        prometheus.Counter
}

// typeCounters counts events by type.
type typeCounters struct {
	matched, unmatched []prometheus.Counter // by Type; those of other types have the place 0
}

func newTypeCounters(auto promauto.Factory, names []string) *typeCounters {
	events := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_fanout_events_by_type_total",
		Help: "Events dispatched, by type and by whether this node had a subscriber (heard, unheard).",
	}, []string{"type", "outcome"})
	c := &typeCounters{}
	for _, name := range append([]string{"other"}, names...) {
		c.matched = append(c.matched, events.WithLabelValues(name, "heard"))
		c.unmatched = append(c.unmatched, events.WithLabelValues(name, "unheard"))
	}
	return c
}

// of returns the counter of a type.
func (c *typeCounters) of(t events.Type, matched bool) prometheus.Counter {
	counters := c.unmatched
	if matched {
		counters = c.matched
	}
	if int(t) >= len(counters) {
		t = 0
	}
	return counters[t]
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
	dispatched := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_fanout_events_total",
		Help: "Events dispatched, by outcome: heard (with a subscriber on this node), unheard (without one), " +
			"expired, malformed.",
	}, []string{"outcome"})
	m := &metrics{
		matched:   dispatched.WithLabelValues("heard"),
		unmatched: dispatched.WithLabelValues("unheard"),
		expired:   dispatched.WithLabelValues("expired"),
		malformed: dispatched.WithLabelValues("malformed"),

		deliveries: counter("rte_fanout_deliveries_total", "Event frames given to sockets."),
		writes: counter("rte_fanout_writes_total",
			"Writes to sockets; deliveries per write show the batching."),
		bytes: counter("rte_fanout_written_bytes_total", "Bytes that sockets took at the first attempt."),
		stalls: counter("rte_fanout_dispatch_stalls_total",
			"Times that a dispatch waited because the backlog of its organization, or of all, was full."),

		full: gauge("rte_fanout_outboxes_full", "Outboxes whose socket is full."),
		waitingBytes: gauge("rte_fanout_outbox_waiting_bytes",
			"Memory of the frames that wait behind full sockets, in bytes; a shared frame counts for each outbox."),
	}
	m.sizes = newSizeGauges(auto)
	m.byType = newTypeCounters(auto, d.options.Types)
	m.delays = newAgeHistogram("rte_fanout_event_delay_seconds",
		"Time from the arrival of an event at this node to its last write, once per event and shard; frames that wait "+
			"behind a full socket do not count.")
	m.ages = newAgeHistogram("rte_fanout_event_age_seconds",
		"Time from the Timestamp of an event, by the clock of its publisher, to its last write, once per event and shard.")
	m.ahead = counter("rte_fanout_event_timestamps_ahead_total",
		"Events that had a Timestamp in the future of this node, so that their age is not known; once per shard.")
	if reg != nil {
		reg.MustRegister(m.delays, m.ages)
	}
	m.addResumptions(auto)
	computed("rte_fanout_outbox_capacity_bytes", "Bytes that may wait in one outbox before its session ends as slow.",
		func() float64 { return float64(d.options.Outbox.Bytes) })
	computed("rte_fanout_outboxes_capacity_bytes", "Bytes that may wait in all outboxes together; 0: no bound.",
		func() float64 { return float64(d.options.Outbox.TotalBytes) })
	computed("rte_fanout_backlog_deliveries", "Deliveries under way, of all organizations together.",
		func() float64 { return float64(d.total.pending.Load()) })
	computed("rte_fanout_backlog_capacity_deliveries",
		"Backlog of all organizations at which dispatching waits; one organization may have a tenth of it.",
		func() float64 { return float64(d.options.Flow.totalLimit()) })
	quota := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_fanout_quota_events_total",
		Help: "Events above the quota of their organization, by outcome: states held back (held), " +
			"states that replaced one of these (superseded), other events that waited (paced).",
	}, []string{"outcome"})
	m.held = quota.WithLabelValues("held")
	m.superseded = quota.WithLabelValues("superseded")
	m.paced = quota.WithLabelValues("paced")
	computed("rte_fanout_quota_events_held", "States that are held back.",
		func() float64 { return float64(d.held.total.Load()) })
	computed("rte_fanout_quota_events_held_capacity",
		"States of all organizations that can be held back; above it, they wait.",
		func() float64 { return maxHeldTotal })
	dropped := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_fanout_dropped_total",
		Help: "Event frames that were not delivered to a subscriber, by reason.",
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
		Help: "States for new subscribers, by outcome: sent, superseded (by an event that the subscriber has), " +
			"expired, ended (the subscription), malformed.",
	}, []string{"outcome"})
	for r := range numReplayOutcomes {
		m.replays[r] = replays.WithLabelValues(r.String())
	}
	return m
}
