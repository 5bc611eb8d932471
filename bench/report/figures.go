package report

import (
	"math"

	"github.com/rte-server/rte-server/bench/runner"
)

// The figures of the report. Each is NaN if it was not measured.

// cpuPerDelivery returns microseconds.
func cpuPerDelivery(m *runner.Measurement) float64 {
	return figureOf(m, func() float64 { return positive(m.CPUPerDelivery()) })
}

func deliveriesPerSecond(m *runner.Measurement) float64 {
	return figureOf(m, m.PerSecond)
}

// p99 returns the p99 latency of a group in milliseconds.
func p99(m *runner.Measurement, group string) float64 {
	return figureOf(m, func() float64 {
		g := m.Group(group)
		if g == nil || g.Delivered == 0 {
			return math.NaN()
		}
		return g.P99
	})
}

// p50 returns the median latency of the group "all" in milliseconds.
func p50(m *runner.Measurement) float64 { return p50Of(m, "all") }

// p50Of returns the median latency of a group in milliseconds.
func p50Of(m *runner.Measurement, group string) float64 {
	return figureOf(m, func() float64 {
		g := m.Group(group)
		if g == nil || g.Delivered == 0 {
			return math.NaN()
		}
		return g.P50
	})
}

// p99Of returns a figure: the p99 latency of a group in milliseconds.
func p99Of(group string) func(*runner.Measurement) float64 {
	return func(m *runner.Measurement) float64 { return p99(m, group) }
}

// bytesPerConnection returns the memory per connection beyond that of a server without connections.
func bytesPerConnection(m *runner.Measurement) float64 {
	return figureOf(m, func() float64 { return float64(m.RSS-m.BaseRSS) / float64(m.Connections) })
}

// socketBytesPerConnection returns the kernel's memory for bytes in a socket of the server.
func socketBytesPerConnection(m *runner.Measurement) float64 {
	return figureOf(m, func() float64 { return float64(m.Sockets) / float64(m.Connections) })
}

// slabPerConnection returns the growth of the kernel's objects for both ends of a connection.
func slabPerConnection(m *runner.Measurement) float64 {
	return figureOf(m, func() float64 { return float64(m.Slab) / float64(m.Connections) })
}

// oldest returns the largest latency of a group in milliseconds.
func oldest(m *runner.Measurement, group string) float64 {
	return figureOf(m, func() float64 {
		g := m.Group(group)
		if g == nil || g.Delivered == 0 {
			return math.NaN()
		}
		return g.Max
	})
}

// bytesPerSubscription returns the memory per subscription beyond the first of each connection.
func bytesPerSubscription(one, all *runner.Measurement) float64 {
	if one == nil || all == nil {
		return math.NaN()
	}
	return float64(all.RSS-one.RSS) / float64(all.Subscriptions-one.Subscriptions)
}

// connectionsPerSecond returns the rate at which connections became ready.
func connectionsPerSecond(m *runner.Measurement) float64 {
	return figureOf(m, func() float64 { return float64(m.Connections) / m.Seconds })
}

// cpuPerEvent returns microseconds.
func cpuPerEvent(m *runner.Measurement) float64 {
	return figureOf(m, func() float64 { return positive(m.CPUPerEvent()) })
}

// cpuPerHealthyDelivery returns all CPU time of the server per delivery to a client that reads, in microseconds.
func cpuPerHealthyDelivery(m *runner.Measurement) float64 {
	return figureOf(m, func() float64 {
		g := m.Group("healthy")
		if g == nil || g.Delivered == 0 {
			return math.NaN()
		}
		return m.ServerCPU * 1e6 / float64(g.Delivered)
	})
}

func figureOf(m *runner.Measurement, value func() float64) float64 {
	if m == nil {
		return math.NaN()
	}
	return value()
}

// positive converts 0, the result of a division by 0, to NaN.
func positive(v float64) float64 {
	if v == 0 {
		return math.NaN()
	}
	return v
}
