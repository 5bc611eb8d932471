package report

import (
	"fmt"
	"html"
	"io"
	"math"
	"strings"

	"github.com/rte-server/rte-server/bench/runner"
)

// loads are the records of the scenarios that load a server in part: percent of the load that saturates it.
var loads = []int{20, 40, 60, 80, 95}

// loadScenarios are these scenarios.
var loadScenarios = []string{"queues-load", "presence-load"}

// load returns the columns of such a scenario.
func load(scenario string) []column {
	columns := []column{of("saturated at", scenario, "saturate", count, deliveriesPerSecond)}
	for _, percent := range loads {
		record := fmt.Sprint(percent)
		columns = append(columns, column{record + " %: p50, p99 ms", func(s *Set, peer string) string {
			m := s.Get(scenario, record, peer)
			return millis(p50(m)) + ", " + millis(p99(m, "all"))
		}})
	}
	return columns
}

// The latency chart has a panel for each scenario, with latencies on a logarithmic scale. All sizes are pixels.
const (
	latencyTop    = 64  // of a plot, in its panel
	latencyHeight = 240 // of a plot
	latencyLeft   = 46
	latencyRight  = 110 // for the names of the servers
	latencyBelow  = 48

	leastMillis = 0.1
	decades     = 5 // up to 10 s
)

// lines are the colours of the servers, in their order; the product has its own.
var lines = []string{"first", "second", "third", "fourth"}

// Latency writes a chart of latency over load as an SVG picture for light and dark pages: p50 as a line, p99 dashed. It
// omits figures that were not measured. Without any figures the picture is empty.
func Latency(w io.Writer, s *Set, bars []Bar, date string) error {
	height := latencyTop + latencyHeight + latencyBelow
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" `+
		`role="img" aria-label="Latency of rte-server and other servers over their load">`+"\n",
		chartWidth, height+24, chartWidth, height+24)
	b.WriteString(chartStyle + latencyStyle)
	for i, scenario := range loadScenarios {
		plot{s, scenario, i * panelWidth}.draw(&b, bars)
	}
	fmt.Fprintf(&b, `<text class="small" x="%d" y="%d">`+
		`Line: median; dashed: 99th percentile. Each server is loaded by its own capacity. %s</text>`+"\n</svg>\n",
		chartMargin, height+12, html.EscapeString(date))
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write latency chart: %w", err)
	}
	return nil
}

const latencyStyle = `<style>
.grid { stroke: #d0d7de; stroke-width: 1; }
.line { fill: none; stroke-width: 2.5; }
.dashed { stroke-dasharray: 5 4; stroke-width: 1.8; }
.first { stroke: #8250df; } .second { stroke: #bf8700; } .third { stroke: #0969da; } .fourth { stroke: #57606a; }
.ours { stroke: #1a7f64; }
@media (prefers-color-scheme: dark) {
  .grid { stroke: #30363d; }
  .first { stroke: #bc8cff; } .second { stroke: #d29922; } .third { stroke: #58a6ff; } .fourth { stroke: #9198a1; }
  .ours { stroke: #3fb68e; }
}
</style>
`

// plot is the panel of one scenario with its left edge at left.
type plot struct {
	set      *Set
	scenario string
	left     int
}

func (p plot) draw(b *strings.Builder, bars []Bar) {
	title := strings.TrimSuffix(p.scenario, "-load")
	fmt.Fprintf(b, `<text class="title" x="%d" y="24">Latency in %s</text>`+"\n", p.left+chartMargin, title)
	fmt.Fprintf(b, `<text class="small" x="%d" y="42">milliseconds, over the load in percent of capacity</text>`+"\n",
		p.left+chartMargin)
	for decade := range decades + 1 {
		y := p.y(leastMillis * math.Pow(10, float64(decade)))
		fmt.Fprintf(b, `<line class="grid" x1="%.0f" x2="%.0f" y1="%.0f" y2="%.0f"/>`, p.x(0), p.x(100), y, y)
		fmt.Fprintf(b, `<text class="small" x="%.0f" y="%.0f" text-anchor="end">%g</text>`+"\n",
			p.x(0)-6, y+4, leastMillis*math.Pow(10, float64(decade)))
	}
	for _, percent := range loads {
		fmt.Fprintf(b, `<text class="small" x="%.0f" y="%d" text-anchor="middle">%d</text>`+"\n",
			p.x(float64(percent)), latencyTop+latencyHeight+18, percent)
	}
	drawn := 0
	for _, bar := range bars {
		class := "ours"
		if !bar.Own {
			class = lines[drawn%len(lines)]
		}
		end, ok := p.line(b, bar.Name, class, p50, "")
		p.line(b, bar.Name, class, p99Of("all"), " dashed")
		if !ok {
			continue
		}
		if !bar.Own {
			drawn++
		}
		fmt.Fprintf(b, `<text class="small" x="%.0f" y="%.0f">%s</text>`+"\n",
			p.x(100)+2, end+4, html.EscapeString(bar.Label))
	}
}

// line draws one figure of a peer over the load and returns the height at its end; ok is false if it was not measured.
func (p plot) line(
	b *strings.Builder, peer, class string, figure func(*runner.Measurement) float64, style string,
) (end float64, ok bool) {
	var points []string
	for _, percent := range loads {
		v := figure(p.set.Get(p.scenario, fmt.Sprint(percent), peer))
		if math.IsNaN(v) || v <= 0 {
			continue
		}
		end = p.y(v)
		points = append(points, fmt.Sprintf("%.0f,%.0f", p.x(float64(percent)), end))
	}
	if len(points) == 0 {
		return 0, false
	}
	fmt.Fprintf(b, `<polyline class="line %s%s" points="%s"/>`+"\n", class, style, strings.Join(points, " "))
	return end, true
}

// x returns the place of a load in percent.
func (p plot) x(percent float64) float64 {
	return float64(p.left+latencyLeft) + percent/100*float64(panelWidth-latencyLeft-latencyRight)
}

// y returns the place of a latency in milliseconds.
func (p plot) y(millis float64) float64 {
	height := math.Log10(max(millis, leastMillis)/leastMillis) / decades
	return latencyTop + latencyHeight*(1-min(height, 1))
}
