package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rte-server/rte-server/bench/peer"
	"github.com/rte-server/rte-server/bench/report"
	"github.com/rte-server/rte-server/bench/runner"
	"github.com/rte-server/rte-server/bench/scenarios"
)

// The files of a folder of results.
const (
	measurementsFile = "measurements.json"
	tableFile        = "table.md"
	chartFile        = "chart.svg"
	latencyFile      = "latency.svg"
)

// The files in the folder of -docs.
const (
	documentFile = "performance.md"
	pictureFile  = "performance.svg"
	loadFile     = "performance-load.svg"
)

// maker names the place of the tables there and in the file of -readme.
const maker = "bench"

// read reads the measurements in a folder.
func read(out string) ([]runner.Measurement, error) {
	data, err := os.ReadFile(filepath.Join(out, measurementsFile)) //nolint:gosec // the user names the folder
	if err != nil {
		return nil, fmt.Errorf("read measurements: %w", err)
	}
	var measurements []runner.Measurement
	if err := json.Unmarshal(data, &measurements); err != nil {
		return nil, fmt.Errorf("read measurements: %w", err)
	}
	return measurements, nil
}

// write writes measurements, table and chart into the folder of results, and the table to stdout.
func write(c config, measurements []runner.Measurement, stdout io.Writer) error {
	data, err := json.MarshalIndent(measurements, "", "  ")
	if err != nil {
		return fmt.Errorf("encode measurements: %w", err)
	}
	all, err := scenarios.Load()
	if err != nil {
		return err
	}
	about := map[string]string{}
	for _, s := range all {
		about[s.Name] = s.About
	}
	failures := slices.DeleteFunc(slices.Clone(measurements), func(m runner.Measurement) bool { return m.Error == "" })
	set := report.NewSet(measurements)
	var rows []report.Row
	var bars []report.Bar
	for _, p := range peer.All() {
		if !slices.ContainsFunc(measurements, func(m runner.Measurement) bool { return m.Peer == p.Name }) {
			continue
		}
		rows = append(rows, report.Row{Name: p.Name, Title: p.Title})
		if p.Label != "" {
			bars = append(bars, report.Bar{Name: p.Name, Label: p.Label, Own: p.Kind == "rte"})
		}
	}
	date := time.Now().UTC().Format(time.DateOnly)
	var markdown, chart, latency bytes.Buffer
	fmt.Fprintf(&markdown, "Measured on %s: %s; %s.\n\n", date, report.Machine(), runs(measurements))
	if err := report.Markdown(&markdown, set, rows, about, failures); err != nil {
		return err
	}
	if err := report.Chart(&chart, set, bars, date); err != nil {
		return err
	}
	if err := report.Latency(&latency, set, bars, date); err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		measurementsFile: data, tableFile: markdown.Bytes(), chartFile: chart.Bytes(),
		latencyFile: latency.Bytes(),
	} {
		err := os.WriteFile(filepath.Join(c.out, name), content, 0o644) //nolint:gosec // all users may read the results
		if err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	if _, err := stdout.Write(markdown.Bytes()); err != nil {
		return fmt.Errorf("write tables: %w", err)
	}
	if c.docs != "" {
		if err := document(c.docs, markdown.Bytes(), chart.Bytes(), latency.Bytes()); err != nil {
			return err
		}
	}
	if c.readme == "" {
		return nil
	}
	var summary bytes.Buffer
	fmt.Fprintf(&summary, "\nOn %s, %s:\n\n", date, report.Machine())
	if err := report.Summary(&summary, set); err != nil {
		return err
	}
	return report.Insert(c.readme, maker, summary.Bytes())
}

// document writes tables and charts into the documentation.
func document(docs string, tables, chart, latency []byte) error {
	pictures := "\n![rte-server compared with other servers](" + pictureFile + ")\n\n" +
		"![Latency of rte-server and other servers over their load](" + loadFile + ")\n\n"
	text := slices.Concat([]byte(pictures), tables)
	if err := report.Insert(filepath.Join(docs, documentFile), maker, text); err != nil {
		return err
	}
	for name, content := range map[string][]byte{pictureFile: chart, loadFile: latency} {
		//nolint:gosec // all users may read the documentation
		if err := os.WriteFile(filepath.Join(docs, name), content, 0o644); err != nil {
			return fmt.Errorf("write chart: %w", err)
		}
	}
	return nil
}

// runs describes the number of runs and disturbances by other processes.
func runs(measurements []runner.Measurement) string {
	times, disturbed := map[string]int{}, 0
	for _, m := range measurements {
		times[m.Scenario] = max(times[m.Scenario], m.Run)
		if m.Others > runner.Disturbed {
			disturbed++
		}
	}
	least := 1
	if len(times) > 0 {
		least = slices.Min(slices.Collect(maps.Values(times)))
	}
	parts := []string{medianOf(least)}
	for _, scenario := range slices.Sorted(maps.Keys(times)) {
		if n := times[scenario]; n > least {
			parts = append(parts, fmt.Sprintf("of %s %s", scenario, medianOf(n)))
		}
	}
	text := strings.Join(parts, ", ")
	if disturbed > 0 {
		text += fmt.Sprintf("; in %d of %d measurements others used more than %.0f %% of a core",
			disturbed, len(measurements), 100*runner.Disturbed)
	}
	return text
}

func medianOf(runs int) string {
	if runs == 1 {
		return "one run"
	}
	return fmt.Sprintf("the median of %d runs", runs)
}
