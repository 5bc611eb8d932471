package report

import (
	"fmt"
	"io"

	"github.com/rte-server/rte-server/bench/runner"
)

// summaryPeers are the columns of a summary.
var summaryPeers = []Row{
	{"rte", "rte-server"}, {centrifugoPeer, "Centrifugo"}, {"signalr", "philippseith/signalr"}, {limitPeer, "one write per message"},
}

// summary are its rows.
var summary = []column{
	of("CPU per delivery, 40,000 deliveries a second", "trickle", "trickle", unit("us", micros), cpuPerDelivery),
	of("deliveries a second, as many as it can", "flood", "flood", count, deliveriesPerSecond),
	of("their 99th percentile of latency", "flood", "flood", unit("ms", millis), func(m *runner.Measurement) float64 { return p99(m, "all") }),
	of("memory of an idle connection", "idle", "idle", kilobytes, bytesPerConnection),
	{"memory of one more subscription", func(s *Set, peer string) string {
		return plainBytes(bytesPerSubscription(s.Get("presence", "one", peer), s.Get("presence", "all", peer)))
	}},
	middle("99th percentile of a quiet organization beside a flooding one", "fairness", "together", unit("ms", millis), func(m *runner.Measurement) float64 {
		return p99(m, "quiet")
	}),
	of("clients that come at once with a token and 20 subscriptions each, a second", "storm", "storm", count, connectionsPerSecond),
}

// Summary writes the figures that are known by heart, a column for each peer.
func Summary(w io.Writer, s *Set) error {
	t := table{head: []string{"2,000 connections, messages of 1 KB"}}
	for _, peer := range summaryPeers {
		t.head = append(t.head, peer.Title)
	}
	for _, figure := range summary {
		row := []string{figure.head}
		for _, peer := range summaryPeers {
			row = append(row, figure.cell(s, peer.Name))
		}
		t.rows = append(t.rows, row)
	}
	return t.write(w)
}

// unit adds the name of a unit to what was measured.
func unit(name string, show func(float64) string) func(float64) string {
	return func(v float64) string { return text(v, func() string { return fmt.Sprintf("%s %s", show(v), name) }) }
}
