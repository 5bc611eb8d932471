package report

import (
	"math"

	"github.com/rte-server/rte-server/bench/runner"
)

// The figures that are compared. Each is NaN where it was not measured.

// cpuPerDelivery is in microseconds.
func cpuPerDelivery(m *runner.Measurement) float64 {
	return figureOf(m, func() float64 { return positive(m.CPUPerDelivery()) })
}

func deliveriesPerSecond(m *runner.Measurement) float64 {
	return figureOf(m, m.PerSecond)
}

// p99 of a group is in milliseconds.
func p99(m *runner.Measurement, group string) float64 {
	return figureOf(m, func() float64 {
		g := m.Group(group)
		if g == nil || g.Delivered == 0 {
			return math.NaN()
		}
		return g.P99
	})
}

// bytesPerConnection is memory beyond that of a server without connections.
func bytesPerConnection(m *runner.Measurement) float64 {
	return figureOf(m, func() float64 { return float64(m.RSS-m.BaseRSS) / float64(m.Connections) })
}

// bytesPerSubscription is what subscriptions beyond the first of each connection have added.
func bytesPerSubscription(one, all *runner.Measurement) float64 {
	if one == nil || all == nil {
		return math.NaN()
	}
	return float64(all.RSS-one.RSS) / float64(all.Subscriptions-one.Subscriptions)
}

// connectionsPerSecond is how fast connections became ready.
func connectionsPerSecond(m *runner.Measurement) float64 {
	return figureOf(m, func() float64 { return float64(m.Connections) / m.Seconds })
}

// cpuPerEvent is in microseconds.
func cpuPerEvent(m *runner.Measurement) float64 {
	return figureOf(m, func() float64 { return positive(m.CPUPerEvent()) })
}

// cpuPerHealthyDelivery is the server's whole time divided by the deliveries to those who read, in microseconds.
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

// positive turns 0, which means that there was nothing to divide by, into NaN.
func positive(v float64) float64 {
	if v == 0 {
		return math.NaN()
	}
	return v
}
