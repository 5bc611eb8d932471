package report_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/bench/report"
	"github.com/rte-server/rte-server/bench/runner"
)

// trickle returns a measurement with a CPU time per delivery in microseconds.
func trickle(peer string, run int, micros float64) runner.Measurement {
	return runner.Measurement{
		Scenario: "trickle", Record: "trickle", Peer: peer, Run: run, Seconds: 10, Connections: 2000,
		ServerCPU: micros * 0.4, Published: 200,
		Groups: []runner.Group{{Name: "all", Delivered: 400_000, P50: 5, P99: 20.04, P999: 30}},
	}
}

func measurements() []runner.Measurement {
	disturbed := trickle("rte", 3, 11)
	disturbed.Groups[0].Missing, disturbed.Groups[0].Closed = 1234, 2
	return []runner.Measurement{
		trickle("limit1", 1, 10),
		trickle("rte", 1, 15), trickle("rte", 2, 9), disturbed,
		{Scenario: "idle", Record: "idle", Peer: "rte", Connections: 1000, RSS: 10 << 20, BaseRSS: 2 << 20},
	}
}

var rows = []report.Row{{Name: "limit1", Title: "limit"}, {Name: "rte", Title: "rte-server"}}

func TestMarkdown_showsTheMedianRun(t *testing.T) {
	var b bytes.Buffer
	failures := []runner.Measurement{{Scenario: "flood", Peer: "rte", Error: "server has exited"}}
	about := map[string]string{"trickle": "About it."}
	if err := report.Markdown(&b, report.NewSet(measurements()), rows, about, failures); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"### Targets: rte-server\n",
		"over the C program, one write per message | <= 1.15 | 1.10 | 0.90 to 1.50 | 1.10 | reached |",
		"idle: memory per subscribed connection | <= 4.0 KB | 8.2 KB | 8.2 KB to 8.2 KB | 8.2 KB | missed |",
		"### trickle\n\nAbout it.\n",
		"| rte-server | 40,000 | 44 % | 0 % | 11.00 |",
		"1,234 lost, 2 closed",
		"| flood | rte | server has exited |",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the report lacks %q", want)
		}
	}
	if strings.Contains(b.String(), "NaN") || strings.Contains(b.String(), "### storm") {
		t.Errorf("the report shows figures that were not measured:\n%s", b.String())
	}
}

func TestSet_Median_isOfRatiosPerRound(t *testing.T) {
	s := report.NewSet([]runner.Measurement{
		// The machine was slower in the second round, and the ratio of the medians would be 2.
		trickle("limit1", 1, 5), trickle("limit1", 2, 10), trickle("limit1", 3, 5),
		trickle("rte", 1, 6), trickle("rte", 2, 11), trickle("rte", 3, 10),
		trickle("centrifugo", 1, 20),
	})
	cpu := func(s *report.Set, peer string) float64 {
		if m := s.Get("trickle", "trickle", peer); m != nil {
			return m.CPUPerDelivery()
		}
		return math.NaN()
	}
	for _, test := range []struct {
		of, over string
		want     float64
	}{{"rte", "limit1", 1.2}, {"centrifugo", "rte", 2}, {"rte", "signalr", math.NaN()}} {
		got := s.Median(func(s *report.Set) float64 { return cpu(s, test.of) / cpu(s, test.over) })
		if math.Abs(got-test.want) > 1e-9 || math.IsNaN(got) != math.IsNaN(test.want) {
			t.Errorf("%s over %s is %v, want %v", test.of, test.over, got, test.want)
		}
	}
}

func TestChart_isXML(t *testing.T) {
	var b bytes.Buffer
	bars := []report.Bar{
		{Name: "limit1", Label: "limit <&>"},
		{Name: "rte", Label: "rte-server", Own: true},
		{Name: "none", Label: "not measured"},
	}
	if err := report.Chart(&b, report.NewSet(measurements()), bars, "2026-01-02"); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	decoder := xml.NewDecoder(&b)
	for {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(text, `class="own"`) || strings.Contains(text, "not measured") {
		t.Error("the chart lacks the bar of the product, or has one that was not measured")
	}
}
