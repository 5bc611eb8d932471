package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
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
)

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

// write writes measurements, table and chart into a folder, and the table to stdout.
func write(out string, measurements []runner.Measurement, stdout io.Writer) error {
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
	var markdown, chart bytes.Buffer
	fmt.Fprintf(&markdown, "Measured on %s, %s.\n\n", date, machine())
	if err := report.Markdown(&markdown, set, rows, about, failures); err != nil {
		return err
	}
	if err := report.Chart(&chart, set, bars, date); err != nil {
		return err
	}
	for name, content := range map[string][]byte{measurementsFile: data, tableFile: markdown.Bytes(), chartFile: chart.Bytes()} {
		if err := os.WriteFile(filepath.Join(out, name), content, 0o644); err != nil { //nolint:gosec // results are for everybody
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	_, err = stdout.Write(markdown.Bytes())
	return err
}

// machine names the processor and the kernel.
func machine() string {
	processor := "unknown processor"
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(data)) {
			if name, ok := strings.CutPrefix(line, "model name"); ok {
				processor = strings.TrimSpace(strings.TrimLeft(name, "\t :"))
				break
			}
		}
	}
	kernel := "unknown kernel"
	if data, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel = strings.TrimSpace(string(data))
	}
	return processor + ", Linux " + kernel
}
