package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/bench/runner"
	"github.com/rte-server/rte-server/bench/scenarios"
)

func TestRun_refusesWrongFlags(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want error
	}{
		{"an unknown peer", []string{"-peers", "unknown"}, errUsage},
		{"an unknown scenario", []string{"-scenarios", "nothing"}, scenarios.ErrInvalid},
		{"one core for both", []string{"-server-core", "0", "-load-core", "0"}, errUsage},
		{"no run", []string{"-runs", "0"}, errUsage},
		{"short variants in the document", []string{"-quick", "-docs", "."}, errUsage},
		{"an argument", []string{"trickle"}, errUsage},
		{"a report of nothing", []string{"-report", "-out", t.TempDir()}, os.ErrNotExist},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			args := append([]string{"-server-core", "1", "-load-core", "0"}, tt.args...)
			if err := run(t.Context(), args, &out, &out); !errors.Is(err, tt.want) {
				t.Errorf("the error is %v, want %v", err, tt.want)
			}
		})
	}
}

func TestWrite_replacesTheTablesOfDocuments(t *testing.T) {
	const tableBegin, tableEnd = "<!-- made by bench: begin -->\n", "<!-- made by bench: end -->\n"
	c := config{out: t.TempDir(), docs: t.TempDir(), readme: filepath.Join(t.TempDir(), "README.md")}
	path := filepath.Join(c.docs, documentFile)
	for _, path := range []string{path, c.readme} {
		if err := os.WriteFile(path, []byte("before\n"+tableBegin+"old\n"+tableEnd+"after\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	measurements := []runner.Measurement{{
		Scenario: "idle", Record: "idle", Peer: "rte", Run: 2, Connections: 1, RSS: 4096, Others: 0.5,
	}}
	var out bytes.Buffer
	if err := write(c, measurements, &out); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"before\n", "4.0 KB", "the median of 2 runs", "in 1 of 1 measurements others", tableEnd + "after\n",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the document lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "old") {
		t.Error("the old table is still there")
	}
	readme, err := os.ReadFile(c.readme)
	idle := "| memory of an idle connection | 4.0 KB | - | - | - | - | - | - |"
	if err != nil || !strings.Contains(string(readme), idle) ||
		strings.Contains(string(readme), "old") {
		t.Errorf("the readme is %q, %v", readme, err)
	}
	again, err := read(c.out)
	if err != nil || len(again) != 1 || again[0].RSS != 4096 {
		t.Errorf("read back %+v, %v", again, err)
	}
}

func TestRuns_describesRuns(t *testing.T) {
	for want, measurements := range map[string][]runner.Measurement{
		"one run":              nil,
		"the median of 2 runs": {{Scenario: "idle", Run: 1}, {Scenario: "idle", Run: 2}},
		"one run, of trickle the median of 3 runs": {
			{Scenario: "idle", Run: 1}, {Scenario: "trickle", Run: 3},
		},
		"one run; in 1 of 2 measurements others used more than 5 % of a core": {
			{Scenario: "idle", Run: 1, Others: 0.06}, {Scenario: "miss", Run: 1},
		},
	} {
		if got := runs(measurements); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestLastRun_countsTheRunsOfEachScenario(t *testing.T) {
	before := []runner.Measurement{
		{Scenario: "idle", Run: 1}, {Scenario: "trickle", Run: 3}, {Scenario: "trickle", Run: 2},
	}
	for scenario, want := range map[string]int{"idle": 1, "trickle": 3, "flood": 0} {
		if got := lastRun(before, scenario); got != want {
			t.Errorf("%s: the last run is %d, want %d", scenario, got, want)
		}
	}
}
