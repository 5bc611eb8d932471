package report

import (
	"fmt"
	"html"
	"io"
	"math"
	"strings"
)

// The chart is a grid of panels, each with one bar per server. All sizes are pixels.
const (
	chartWidth  = 860
	panelWidth  = chartWidth / 2
	panelTop    = 58 // from the top of a panel to its first bar
	barHeight   = 18
	barPitch    = 27
	labelWidth  = 118
	barWidth    = 205 // of the longest bar
	chartMargin = 18
)

// panel is one comparison.
type panel struct {
	title  string
	better string
	show   func(float64) string
	value  func(s *Set, peer string) float64
}

var panels = []panel{
	{
		"CPU per delivered message", "microseconds; less is better", micros,
		func(s *Set, p string) float64 { return cpuPerDelivery(s.Get("trickle", "trickle", p)) },
	},
	{
		"Deliveries per second and core", "offered twice what saturates; more is better", count,
		func(s *Set, p string) float64 { return deliveriesPerSecond(s.Get("flood", "flood", p)) },
	},
	{
		"Memory per idle connection", "with one subscription; less is better", kilobytes,
		func(s *Set, p string) float64 { return bytesPerConnection(s.Get("idle", "idle", p)) },
	},
	{
		"Reconnects per second and core", "signed token, 20 subscriptions; more is better", count,
		func(s *Set, p string) float64 { return connectionsPerSecond(s.Get("storm", "storm", p)) },
	},
}

// Bar is a peer in the chart.
type Bar struct {
	Name  string
	Label string
	Own   bool // drawn in the colour of the product
}

// Chart writes the main figures as an SVG picture for light and dark pages. It omits bars that were not measured.
func Chart(w io.Writer, s *Set, bars []Bar, date string) error {
	height := panelTop + len(bars)*barPitch + chartMargin
	total := (len(panels)+1)/2*height + 30
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" `+
		`role="img" aria-label="rte-server compared with other servers">`+"\n",
		chartWidth, total, chartWidth, total)
	b.WriteString(chartStyle)
	for i, p := range panels {
		p.draw(&b, s, bars, i%2*panelWidth+chartMargin, i/2*height)
	}
	fmt.Fprintf(&b, `<text class="small" x="%d" y="%d">`+
		`Servers on one core, load on another, one run after the other. %s</text>`+"\n</svg>\n",
		chartMargin, total-12, html.EscapeString(date))
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write chart: %w", err)
	}
	return nil
}

const chartStyle = `<style>
text { font: 13px system-ui, sans-serif; fill: #24292f; }
.title { font-weight: 600; font-size: 15px; }
.small { font-size: 11.5px; fill: #57606a; }
.bar { fill: #afb8c1; }
.own { fill: #1a7f64; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .small { fill: #9198a1; }
  .bar { fill: #484f58; }
  .own { fill: #3fb68e; }
}
</style>
`

// draw draws the panel with its top left corner at x, y. It draws nothing if nothing was measured.
func (p panel) draw(b *strings.Builder, s *Set, bars []Bar, x, y int) {
	longest := 0.0
	for _, bar := range bars {
		if v := p.value(s, bar.Name); !math.IsNaN(v) && !math.IsInf(v, 0) {
			longest = max(longest, v)
		}
	}
	if longest == 0 {
		return
	}
	fmt.Fprintf(b, `<text class="title" x="%d" y="%d">%s</text>`+"\n", x, y+24, html.EscapeString(p.title))
	fmt.Fprintf(b, `<text class="small" x="%d" y="%d">%s</text>`+"\n", x, y+42, html.EscapeString(p.better))
	line := y + panelTop
	for _, bar := range bars {
		v := p.value(s, bar.Name)
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		length := max(int(v/longest*barWidth), 1)
		class := "bar"
		if bar.Own {
			class = "own"
		}
		fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end">%s</text>`,
			x+labelWidth-8, line+barHeight-5, html.EscapeString(bar.Label))
		fmt.Fprintf(b, `<rect class="%s" x="%d" y="%d" width="%d" height="%d" rx="2"/>`,
			class, x+labelWidth, line, length, barHeight)
		fmt.Fprintf(b, `<text x="%d" y="%d">%s</text>`+"\n",
			x+labelWidth+length+6, line+barHeight-5, html.EscapeString(p.show(v)))
		line += barPitch
	}
}
