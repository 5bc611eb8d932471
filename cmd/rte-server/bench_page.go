package main

import (
	"fmt"
	"html/template"
	"os"
	"time"

	"github.com/rte-server/rte-server/internal/loadgen"
)

// benchPage is the page of a load, without scripts and without files from other servers.
var benchPage = template.Must(template.New("bench").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>rte-server bench, {{.At}}</title>
<style>
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; }
th { text-align: left; font-weight: 500; padding: 0 2rem .3rem 0; }
td { font-variant-numeric: tabular-nums; }
.good { color: #1a7f64; } .bad { color: #cf222e; }
svg { width: 100%; height: auto; }
svg text { font: 11px system-ui, sans-serif; fill: currentColor; }
rect { fill: #3fb68e; }
</style>
<h1>Load on {{.Load.Hub}}</h1>
<p>{{.At}}: {{.Load.Clients}} clients with {{.Load.Subscriptions}} subscriptions each, {{.Load.Topics}} topics,
{{.Load.Rate}} events per second for {{.Load.Duration}}.</p>
<p class="{{if .Complete}}good{{else}}bad{{end}}"><strong>{{if .Complete}}Complete: every event arrived once and in
order{{else}}Not complete{{end}}.</strong></p>
<table>{{range .Rows}}<tr><th>{{.Name}}</th><td>{{.Value}}</td></tr>{{end}}</table>
<h2>Latencies</h2>
{{if .Bars}}<svg viewBox="0 0 800 220" role="img" aria-label="Number of deliveries by latency">
{{range .Bars}}<rect x="{{.X}}" y="{{.Y}}" width="{{.Width}}" height="{{.Height}}"><title>up to {{.UpTo}}:
{{.Count}} deliveries</title></rect>{{if .Label}}<text x="{{.X}}" y="214">{{.Label}}</text>{{end}}
{{end}}</svg>
<p>Deliveries by latency; each bar covers an eighth of a doubling.</p>{{else}}<p>No event arrived.</p>{{end}}
</html>
`))

// bar is a bar of the chart, in pixels.
type bar struct {
	X, Y, Width, Height int
	UpTo                time.Duration
	Label               string
	Count               int
}

// writeBenchPage writes the page of a load.
func writeBenchPage(path string, load *loadgen.Load, r *loadgen.Report) error {
	file, err := os.Create(path) //nolint:gosec // the user names the file
	if err != nil {
		return err
	}
	type row struct{ Name, Value string }
	var rows []row
	for _, b := range benchRows(r) {
		rows = append(rows, row{b.name, b.value})
	}
	err = benchPage.Execute(file, map[string]any{
		"At": time.Now().UTC().Format(time.RFC3339), "Load": load, "Complete": r.Complete(), "Rows": rows,
		"Bars": bars(r.Latencies),
	})
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}

// bars returns the bars of the chart.
func bars(buckets []loadgen.Bucket) []bar {
	most := 0
	for _, b := range buckets {
		most = max(most, b.Count)
	}
	all := make([]bar, len(buckets))
	width := 800 / max(len(buckets), 1)
	for i, b := range buckets {
		height := max(b.Count*190/most, 1)
		all[i] = bar{
			X: i * width, Y: 196 - height, Width: max(width-2, 1), Height: height, UpTo: b.UpTo.Round(time.Microsecond),
			Count: b.Count,
		}
		if i%(1+len(buckets)/8) == 0 {
			all[i].Label = fmt.Sprint(b.UpTo.Round(b.UpTo / 20))
		}
	}
	return all
}
