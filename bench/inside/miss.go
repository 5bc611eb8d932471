// Package inside measures the program without a protocol between publisher and backplane. It runs benchmarks of the
// product on the server's core.
package inside

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rte-server/rte-server/bench/proc"
	"github.com/rte-server/rte-server/bench/runner"
)

const (
	program = "backplane.test"
	// benchmark publishes events without subscribers. Its sub-benchmarks are the records.
	benchmark = "BenchmarkMemory_NoSubscribers"
	unit      = "events/s"
	// times is the number of repetitions: the figure is compared with a bound.
	times = 3
)

var errOutput = errors.New("no figure in the output of the benchmark")

// Build builds the benchmarks into the folder binaries. bench is the folder of this module.
func Build(ctx context.Context, bench, binaries string) error {
	output, err := filepath.Abs(filepath.Join(binaries, program))
	if err != nil {
		return fmt.Errorf("find folder: %w", err)
	}
	//nolint:gosec // the user names the folder
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-o", output, "./internal/backplane")
	cmd.Dir = filepath.Join(bench, "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the benchmarks: %w\n%s", err, out)
	}
	return nil
}

// Miss measures how many events without subscribers the in-process backplane takes. It returns one measurement for
// calls and one for states, which are retained for snapshots.
func Miss(ctx context.Context, binaries string, core, run int) ([]runner.Measurement, error) {
	path, err := filepath.Abs(filepath.Join(binaries, program))
	if err != nil {
		return nil, fmt.Errorf("find folder: %w", err)
	}
	var output bytes.Buffer
	err = proc.Run(ctx, proc.Spec{
		Path: path, Core: core, Output: &output,
		Args: []string{
			"-test.run=^$", "-test.bench=" + benchmark, "-test.benchtime=1s", fmt.Sprintf("-test.count=%d", times),
		},
	})
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, output.String())
	}
	return parse(output.String(), run)
}

// parse parses the output of go test. It has a line for each benchmark and repetition: the name, the rounds, and
// figures with their units. Each repetition counts as a run.
func parse(output string, run int) ([]runner.Measurement, error) {
	var measurements []runner.Measurement
	last := map[string]int{} // run, by record
	for line := range strings.Lines(output) {
		fields := strings.Fields(line)
		if len(fields) == 0 || !strings.HasPrefix(fields[0], benchmark+"/") {
			continue
		}
		for i := 2; i < len(fields); i++ {
			if fields[i] != unit {
				continue
			}
			rate, err := strconv.ParseFloat(fields[i-1], 64)
			if err != nil {
				return nil, fmt.Errorf("%w: %q", errOutput, line)
			}
			name, _, _ := strings.Cut(strings.TrimPrefix(fields[0], benchmark+"/"), "-")
			record := strings.ToLower(name)
			last[record]++
			measurements = append(measurements, runner.Measurement{
				Scenario: "miss", Record: record, Peer: "rte", Run: (run-1)*times + last[record],
				Seconds: 1, ServerCPU: 1, Published: uint64(rate),
			})
		}
	}
	if len(measurements) == 0 {
		return nil, fmt.Errorf("%w: %q", errOutput, output)
	}
	return measurements, nil
}
