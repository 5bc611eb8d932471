package report

import (
	"fmt"
	"math"
	"strconv"

	"github.com/rte-server/rte-server/bench/runner"
)

// target is a figure that rte-server has to reach.
type target struct {
	what   string
	bound  float64
	atMost bool
	value  func(s *Set, rte string) float64
	show   func(float64) string
}

const (
	limitPeer      = "limit1"
	limit16Peer    = "limit16"
	centrifugoPeer = "centrifugo"
	natsPeer       = "nats"
	bunPeer        = "bun"
	untracedPeer   = "untraced"
)

// against returns the ratio of a figure of rte-server to that of a peer in the same scenario.
func against(
	peer, scenario, record string, figure func(*runner.Measurement) float64,
) func(*Set, string) float64 {
	return func(s *Set, rte string) float64 {
		return figure(s.Get(scenario, record, rte)) / figure(s.Get(scenario, record, peer))
	}
}

// costOfRecording returns the ratio of CPU per delivery to that without recording. It is NaN for peers that differ from
// untraced in more than that.
func costOfRecording(scenario string) func(*Set, string) float64 {
	ratio := against(untracedPeer, scenario, scenario, cpuPerDelivery)
	return func(s *Set, rte string) float64 {
		if rte != "rte" {
			return math.NaN()
		}
		return ratio(s, rte)
	}
}

// inside returns the events per second of one core from a publisher in the same process.
func inside(record string) func(*Set, string) float64 {
	return func(s *Set, rte string) float64 { return 1e6 / cpuPerEvent(s.Get("miss", record, rte)) }
}

// targets has the targets in the order of the scenarios.
var targets = []target{
	{
		"trickle: CPU per delivery over the C program, one write per message", 1.15, true,
		against(limitPeer, "trickle", "trickle", cpuPerDelivery), times,
	},
	{"trickle: CPU per delivery over Bun", 1, true, against(bunPeer, "trickle", "trickle", cpuPerDelivery), times},
	{
		"trickle: CPU per delivery over the same without recording of events", 1.02, true,
		costOfRecording("trickle"), times,
	},
	{
		"flood: CPU per delivery over the same without recording of events", 1.02, true,
		costOfRecording("flood"), times,
	},
	{"flood: deliveries/s over Bun", 1, false, against(bunPeer, "flood", "flood", deliveriesPerSecond), times},
	{"flood: p99 latency over Bun", 1, true, against(bunPeer, "flood", "flood", p99Of("all")), times},
	{
		"flood: deliveries/s over the C program, 16 messages per write", 0.9, false,
		against(limit16Peer, "flood", "flood", deliveriesPerSecond), times,
	},
	{
		"flood: deliveries/s over Centrifugo", 4, false,
		against(centrifugoPeer, "flood", "flood", deliveriesPerSecond), times,
	},
	{"queues: p50 latency over Centrifugo", 1, true, against(centrifugoPeer, "queues", "queues", p50), times},
	{"queues: p99 latency over Centrifugo", 1, true, against(centrifugoPeer, "queues", "queues", p99Of("all")), times},
	{"queues: p50 latency over NATS", 1.5, true, against(natsPeer, "queues", "queues", p50), times},
	{"queues: p99 latency over NATS", 1.5, true, against(natsPeer, "queues", "queues", p99Of("all")), times},
	{
		"presence: p50 latency over Centrifugo", 1, true,
		against(centrifugoPeer, "presence", "presence", p50), times,
	},
	{
		"presence: p99 latency over Centrifugo", 1, true,
		against(centrifugoPeer, "presence", "presence", p99Of("all")), times,
	},
	{"presence: p50 latency over NATS", 1.5, true, against(natsPeer, "presence", "presence", p50), times},
	{"presence: p99 latency over NATS", 1.5, true, against(natsPeer, "presence", "presence", p99Of("all")), times},
	{"idle: memory per subscribed connection", 4 << 10, true, func(s *Set, rte string) float64 {
		return bytesPerConnection(s.Get("idle", "idle", rte))
	}, kilobytes},
	{"presence: memory per subscription beyond the first", 96, true, func(s *Set, rte string) float64 {
		return bytesPerSubscription(s.Get("presence", "one", rte), s.Get("presence", "all", rte))
	}, plainBytes},
	{"presence: CPU per delivery over trickle", 0.5, true, func(s *Set, rte string) float64 {
		return cpuPerDelivery(s.Get("presence", "presence", rte)) / cpuPerDelivery(s.Get("trickle", "trickle", rte))
	}, times},
	{
		"storm: connections/s with token and 20 subscriptions over Centrifugo", 2, false,
		against(centrifugoPeer, "storm", "storm", connectionsPerSecond), times,
	},
	{"miss: events without subscriber per second of one core, in process", 1e6, false, inside("call"), count},
	{"miss: the same for states, which are retained for snapshots", 1e6, false, inside("state"), count},
	{"slow: CPU per healthy delivery over no slow clients", 1.1, true, func(s *Set, rte string) float64 {
		return cpuPerHealthyDelivery(s.Get("slow", "slow", rte)) / cpuPerHealthyDelivery(s.Get("slow", "alone", rte))
	}, times},
	{"slow: p99 of the healthy over no slow clients", 1.1, true, func(s *Set, rte string) float64 {
		return p99(s.Get("slow", "slow", rte), "healthy") / p99(s.Get("slow", "alone", rte), "healthy")
	}, times},
	{
		"stale: age of the oldest state that a client reads at 50 KB/s", 2000, true,
		func(s *Set, rte string) float64 { return oldest(s.Get("stale", "slow", rte), "slow") }, milliseconds,
	},
	{
		"stale: kernel memory of the server's end of a connection, half of which read nothing", 64 << 10, true,
		func(s *Set, rte string) float64 { return socketBytesPerConnection(s.Get("stale", "frozen", rte)) }, kilobytes,
	},
	{"fairness: p99 of the quiet organization over its p99 alone", 2, true, func(s *Set, rte string) float64 {
		return p99(s.Get("fairness", "together", rte), "quiet") / p99(s.Get("fairness", "alone", rte), "quiet")
	}, times},
	{
		"stored: CPU per delivery with 1,000,000 more subscriptions over without", 1.1, true,
		func(s *Set, rte string) float64 {
			return cpuPerDelivery(s.Get("stored", "million", rte)) / cpuPerDelivery(s.Get("stored", "few", rte))
		}, times,
	},
}

// targetTable reports which targets were reached. It omits figures that were not measured. A target counts as reached
// if two figures reach it: the median over the rounds, and the figure of the median runs. For a ratio the second one is
// the ratio of the medians.
func targetTable(s *Set, rte string) table {
	t := table{title: "Targets", head: []string{"figure", "target", "median of rounds", "range", "of median runs", ""}}
	for _, goal := range targets {
		figure := func(s *Set) float64 { return goal.value(s, rte) }
		values, together := s.values(figure), figure(s)
		if len(values) == 0 || math.IsNaN(together) || math.IsInf(together, 0) {
			continue
		}
		median := values[(len(values)-1)/2]
		sign, result := ">=", "missed"
		reached := median >= goal.bound && together >= goal.bound
		if goal.atMost {
			sign, reached = "<=", median <= goal.bound && together <= goal.bound
		}
		if reached {
			result = "reached"
		}
		t.rows = append(t.rows, []string{
			goal.what, sign + " " + goal.show(goal.bound), goal.show(median),
			goal.show(values[0]) + " to " + goal.show(values[len(values)-1]), goal.show(together), result,
		})
	}
	return t
}

func times(v float64) string { return text(v, func() string { return fmt.Sprintf("%.2f", v) }) }
func kilobytes(v float64) string {
	return text(v, func() string { return fmt.Sprintf("%.1f KB", v/1024) })
}

func milliseconds(v float64) string {
	return text(v, func() string { return fmt.Sprintf("%.0f ms", v) })
}

func plainBytes(v float64) string { return text(v, func() string { return fmt.Sprintf("%.0f B", v) }) }

func micros(v float64) string { return text(v, func() string { return fmt.Sprintf("%.2f", v) }) }

func percent(v float64) string {
	return text(v, func() string { return fmt.Sprintf("%.0f %%", 100*v) })
}

// millis formats about three digits.
func millis(v float64) string {
	return text(v, func() string {
		switch {
		case v >= 100:
			return fmt.Sprintf("%.0f", v)
		case v >= 10:
			return fmt.Sprintf("%.1f", v)
		default:
			return fmt.Sprintf("%.2f", v)
		}
	})
}

// count formats a number with commas.
func count(v float64) string {
	return text(v, func() string {
		digits := strconv.FormatFloat(math.Abs(v), 'f', 0, 64)
		for i := len(digits) - 3; i > 0; i -= 3 {
			digits = digits[:i] + "," + digits[i:]
		}
		if v < 0 {
			return "-" + digits
		}
		return digits
	})
}

// text formats a figure, or a dash if it was not measured.
func text(v float64, show func() string) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "-"
	}
	return show()
}
