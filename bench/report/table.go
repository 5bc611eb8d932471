package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/rte-server/rte-server/bench/runner"
)

// Row names a peer.
type Row struct{ Name, Title string }

// table is one table of the report.
type table struct {
	title string
	note  string
	head  []string
	rows  [][]string
}

// column is a column of a scenario's table.
type column struct {
	head string
	cell func(s *Set, peer string) string
}

// section is a scenario's table.
type section struct {
	scenario string
	record   string // rows without it are omitted
	columns  []column
}

// of returns a column with a figure of one record.
func of(head, scenario, record string, show func(float64) string, figure func(*runner.Measurement) float64) column {
	return column{head, func(s *Set, peer string) string { return show(figure(s.Get(scenario, record, peer))) }}
}

// median returns a column with the median of a figure over all runs, for figures by which the runs are not ordered.
func median(head, scenario, record string, show func(float64) string, figure func(*runner.Measurement) float64) column {
	return column{head, func(s *Set, peer string) string {
		return show(s.Median(func(s *Set) float64 { return figure(s.Get(scenario, record, peer)) }))
	}}
}

// over returns a column with the ratio of a figure to that of another peer.
func over(head, base, scenario, record string, figure func(*runner.Measurement) float64) column {
	return column{head, func(s *Set, peer string) string {
		return times(s.Median(func(s *Set) float64 {
			return figure(s.Get(scenario, record, peer)) / figure(s.Get(scenario, record, base))
		}))
	}}
}

func field(f func(*runner.Measurement) float64) func(*runner.Measurement) float64 {
	return func(m *runner.Measurement) float64 { return figureOf(m, func() float64 { return f(m) }) }
}

// delivery returns the columns of a step that publishes to the group "all".
func delivery(scenario, record string) []column {
	ofGroup := func(f func(*runner.Group) float64) func(*runner.Measurement) float64 {
		return field(func(m *runner.Measurement) float64 {
			if g := m.Group("all"); g != nil {
				return f(g)
			}
			return 0
		})
	}
	return []column{
		of("deliveries/s", scenario, record, count, deliveriesPerSecond),
		of("core", scenario, record, percent, field((*runner.Measurement).Busy)),
		of("load", scenario, record, percent, field(func(m *runner.Measurement) float64 { return m.LoadCPU / m.Seconds })),
		of("us/delivery", scenario, record, micros, cpuPerDelivery),
		of("in kernel", scenario, record, percent, field(func(m *runner.Measurement) float64 { return m.Kernel })),
		over("/ C", limitPeer, scenario, record, cpuPerDelivery),
		over("/ Centrifugo", centrifugoPeer, scenario, record, cpuPerDelivery),
		over("/ Bun", bunPeer, scenario, record, cpuPerDelivery),
		of("p50 ms", scenario, record, millis, ofGroup(func(g *runner.Group) float64 { return g.P50 })),
		of("p99 ms", scenario, record, millis, ofGroup(func(g *runner.Group) float64 { return g.P99 })),
		of("p99.9 ms", scenario, record, millis, ofGroup(func(g *runner.Group) float64 { return g.P999 })),
		{"faults", func(s *Set, peer string) string { return faults(s.Get(scenario, record, peer), "all") }},
		others(scenario, record),
	}
}

// others returns a column with the share of the cores that other processes used.
func others(scenario, record string) column {
	return of("others", scenario, record, percent, field(func(m *runner.Measurement) float64 { return max(m.Others, 0) }))
}

// faults lists the faults of a group.
func faults(m *runner.Measurement, group string) string {
	if m == nil {
		return "-"
	}
	g := m.Group(group)
	if g == nil {
		return "-"
	}
	var parts []string
	for _, f := range []struct {
		what string
		n    uint64
	}{
		{"lost", g.Missing},
		{"repeated", g.Duplicates},
		{"out of order", g.Late},
		{"foreign", g.Foreign},
		{"closed", g.Closed},
	} {
		if f.n > 0 {
			parts = append(parts, count(float64(f.n))+" "+f.what)
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// memory returns resident memory in megabytes.
var memory = field(func(m *runner.Measurement) float64 { return float64(m.RSS) / (1 << 20) })

var connections = field(func(m *runner.Measurement) float64 { return float64(m.Connections) })

var published = field(func(m *runner.Measurement) float64 { return float64(m.Published) / m.Seconds })

// sections are the tables in the order of the report.
var sections = []section{
	{"trickle", "trickle", delivery("trickle", "trickle")},
	{"flood", "flood", append([]column{
		of("saturated at", "flood", "saturate", count, deliveriesPerSecond),
		of("events/s offered", "flood", "flood", count, field(func(m *runner.Measurement) float64 { return m.Offered })),
		of("taken", "flood", "flood", count, published),
		over("deliveries / Centrifugo", centrifugoPeer, "flood", "flood", deliveriesPerSecond),
	}, delivery("flood", "flood")...)},
	{"presence", "presence", append([]column{
		{"B/subscription", func(s *Set, peer string) string {
			return plainBytes(bytesPerSubscription(s.Get("presence", "one", peer), s.Get("presence", "all", peer)))
		}},
	}, delivery("presence", "presence")...)},
	{"queues", "queues", delivery("queues", "queues")},
	{"presence-load", "saturate", load("presence-load")},
	{"queues-load", "saturate", load("queues-load")},
	{"idle", "idle", []column{
		of("connections", "idle", "idle", count, connections),
		of("MB", "idle", "idle", count, memory),
		of("per connection", "idle", "idle", kilobytes, bytesPerConnection),
		over("/ Centrifugo", centrifugoPeer, "idle", "idle", bytesPerConnection),
		of("in the kernel, both ends", "idle", "idle", kilobytes, slabPerConnection),
		of("core", "idle", "idle", percent, field((*runner.Measurement).Busy)),
	}},
	{"storm", "storm", []column{
		of("connections/s", "storm", "storm", count, connectionsPerSecond),
		of("subscriptions/s", "storm", "storm", count, field(func(m *runner.Measurement) float64 {
			return float64(m.Subscriptions) / m.Seconds
		})),
		over("/ Centrifugo", centrifugoPeer, "storm", "storm", connectionsPerSecond),
		of("ms of CPU each", "storm", "storm", millis, field(func(m *runner.Measurement) float64 {
			return m.ServerCPU * 1000 / float64(m.Connections)
		})),
		of("failed", "storm", "storm", count, field(func(m *runner.Measurement) float64 { return float64(m.Failed) })),
		others("storm", "storm"),
	}},
	{"miss", "miss", []column{
		of("events/s", "miss", "miss", count, published),
		of("core", "miss", "miss", percent, field((*runner.Measurement).Busy)),
		of("us/event", "miss", "miss", micros, cpuPerEvent),
		over("/ Centrifugo", centrifugoPeer, "miss", "miss", cpuPerEvent),
		others("miss", "miss"),
	}},
	{"slow", "slow", []column{
		of("us/delivery alone", "slow", "alone", micros, cpuPerHealthyDelivery),
		of("with slow", "slow", "slow", micros, cpuPerHealthyDelivery),
		of("p99 ms alone", "slow", "alone", millis, p99Of("healthy")),
		of("with slow", "slow", "slow", millis, p99Of("healthy")),
		{"faults of the healthy", func(s *Set, peer string) string {
			return faults(s.Get("slow", "slow", peer), "healthy")
		}},
		of("slow ones closed", "slow", "slow", count, field(func(m *runner.Measurement) float64 {
			if g := m.Group("slow"); g != nil {
				return float64(g.Closed)
			}
			return 0
		})),
		others("slow", "slow"),
	}},
	{"stale", "slow", []column{
		of("p50 age ms", "stale", "slow", millis, func(m *runner.Measurement) float64 { return p50Of(m, "slow") }),
		of("oldest ms", "stale", "slow", millis, func(m *runner.Measurement) float64 { return oldest(m, "slow") }),
		of("kernel memory each", "stale", "slow", kilobytes, socketBytesPerConnection),
		of("with as many that read nothing", "stale", "frozen", kilobytes, socketBytesPerConnection),
		of("MB", "stale", "frozen", count, memory),
		{"faults of the slow", func(s *Set, peer string) string { return faults(s.Get("stale", "frozen", peer), "slow") }},
		others("stale", "slow"),
	}},
	{"fairness", "together", []column{
		median("p99 ms alone", "fairness", "alone", millis, p99Of("quiet")),
		median("together", "fairness", "together", millis, p99Of("quiet")),
		of("deliveries/s together", "fairness", "together", count, deliveriesPerSecond),
		{"faults of the quiet", func(s *Set, peer string) string {
			return faults(s.Get("fairness", "together", peer), "quiet")
		}},
		{"of the busy", func(s *Set, peer string) string {
			return faults(s.Get("fairness", "together", peer), "busy")
		}},
		others("fairness", "together"),
	}},
	{"stored", "million", []column{
		of("us/delivery", "stored", "few", micros, cpuPerDelivery),
		of("with 1,000,000 more", "stored", "million", micros, cpuPerDelivery),
		of("p99 ms", "stored", "few", millis, p99Of("all")),
		of("with 1,000,000 more", "stored", "million", millis, p99Of("all")),
		of("MB", "stored", "million", count, memory),
		others("stored", "million"),
	}},
	{"shared", "flood", append([]column{
		of("us/delivery of trickle", "shared", "trickle", micros, cpuPerDelivery),
		of("p99 ms of trickle", "shared", "trickle", millis, p99Of("all")),
		of("saturated at", "shared", "saturate", count, deliveriesPerSecond),
	}, delivery("shared", "flood")...)},
}

// Markdown writes the report. rows are the peers in order. about describes the scenarios. failures are steps that
// could not be measured.
func Markdown(w io.Writer, s *Set, rows []Row, about map[string]string, failures []runner.Measurement) error {
	var tables []table
	for _, row := range rows {
		if t := targetTable(s, row.Name); strings.HasPrefix(row.Name, "rte") && len(t.rows) > 0 {
			t.title += ": " + row.Title
			tables = append(tables, t)
		}
	}
	for _, sec := range sections {
		t := table{title: sec.scenario, note: about[sec.scenario], head: []string{"server"}}
		for _, c := range sec.columns {
			t.head = append(t.head, c.head)
		}
		for _, row := range rows {
			if s.Get(sec.scenario, sec.record, row.Name) == nil {
				continue
			}
			cells := []string{row.Title}
			for _, c := range sec.columns {
				cells = append(cells, c.cell(s, row.Name))
			}
			t.rows = append(t.rows, cells)
		}
		if len(t.rows) > 0 {
			tables = append(tables, t)
		}
	}
	if len(failures) > 0 {
		t := table{title: "Not measured", head: []string{"scenario", "server", "reason"}}
		for _, f := range failures {
			t.rows = append(t.rows, []string{f.Scenario, f.Peer, f.Error})
		}
		tables = append(tables, t)
	}
	for _, t := range tables {
		if err := t.write(w); err != nil {
			return err
		}
	}
	return nil
}

// Table writes a table in Markdown. The first column has text, the others have figures.
func Table(w io.Writer, head []string, rows [][]string) error {
	return table{head: head, rows: rows}.write(w)
}

// write writes the table in Markdown.
func (t table) write(w io.Writer) error {
	var b strings.Builder
	if t.title != "" {
		fmt.Fprintf(&b, "### %s\n\n", t.title)
	}
	if t.note != "" {
		fmt.Fprintf(&b, "%s\n\n", t.note)
	}
	writeRow(&b, t.head)
	rule := make([]string, len(t.head))
	for i := range rule {
		rule[i] = "---:"
	}
	rule[0] = "---"
	writeRow(&b, rule)
	for _, row := range t.rows {
		writeRow(&b, row)
	}
	b.WriteByte('\n')
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

func writeRow(b *strings.Builder, cells []string) {
	b.WriteString("| ")
	for i, cell := range cells {
		if i > 0 {
			b.WriteString(" | ")
		}
		b.WriteString(strings.NewReplacer("|", "/", "\n", " ").Replace(cell))
	}
	b.WriteString(" |\n")
}
