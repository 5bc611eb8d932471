package report

import (
	"fmt"
	"io"
)

// summaryPeers are the columns of the summary.
var summaryPeers = []Row{
	{"rte", "rte-server"},
	{centrifugoPeer, "Centrifugo"},
	{natsPeer, "NATS"},
	{bunPeer, "Bun"},
	{"aspnet", "ASP.NET Core"},
	{"signalr", "philippseith/signalr"},
	{limitPeer, "C, one write per message"},
}

// summary are its rows.
var summary = []column{
	of("CPU per delivery at 40,000 deliveries/s", "trickle", "trickle", unit("us", micros), cpuPerDelivery),
	of("deliveries/s under a flood", "flood", "flood", count, deliveriesPerSecond),
	of("p99 latency under that flood", "flood", "flood", unit("ms", millis), p99Of("all")),
	of("memory of an idle connection", "idle", "idle", kilobytes, bytesPerConnection),
	{"memory of one more subscription", func(s *Set, peer string) string {
		return plainBytes(bytesPerSubscription(s.Get("presence", "one", peer), s.Get("presence", "all", peer)))
	}},
	median("p99 latency of a quiet organization beside a flooding one", "fairness", "together", unit("ms", millis),
		p99Of("quiet")),
	of("clients/s that connect at once, with a token and 20 subscriptions each", "storm", "storm", count,
		connectionsPerSecond),
}

// Summary writes the most important figures, with a column for each peer.
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

// unit appends the name of a unit to a figure.
func unit(name string, show func(float64) string) func(float64) string {
	return func(v float64) string { return text(v, func() string { return fmt.Sprintf("%s %s", show(v), name) }) }
}
