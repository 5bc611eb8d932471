package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/rte-server/rte-server/bench/inside"
	"github.com/rte-server/rte-server/bench/peer"
	"github.com/rte-server/rte-server/bench/proc"
	"github.com/rte-server/rte-server/bench/runner"
	"github.com/rte-server/rte-server/bench/scenarios"
)

var errUsage = errors.New("usage")

// config has the values of the flags.
type config struct {
	bench      string
	out        string
	docs       string
	readme     string
	peers      string
	scenarios  string
	runs       int
	once       bool
	quick      bool
	skipBuild  bool
	serverCore int
	loadCore   int
	together   bool
	maxRSS     int64
	quiet      time.Duration
	profiles   bool
	keep       bool
	reportOnly bool
}

func parse(args []string, stderr io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&c.bench, "bench", ".", "folder of the bench module")
	flags.StringVar(&c.out, "out", "out", "folder for measurements.json, table.md and chart.svg")
	flags.StringVar(&c.readme, "readme", "", "file for the summary; empty: none")
	flags.StringVar(&c.docs, "docs", "", "folder with performance.md, for table and chart; empty: none")
	flags.StringVar(
		&c.peers, "peers", "limit,signalr,aspnet,centrifugo,nats,bun,rte", "peers or kinds of peers, separated by commas",
	)
	flags.StringVar(&c.scenarios, "scenarios", "", "scenarios, separated by commas; empty: all")
	flags.IntVar(&c.runs, "runs", 1, "least number of runs; the table shows the median run")
	flags.BoolVar(&c.once, "once", false, "play each scenario in the first round only, also those that have more runs")
	flags.BoolVar(&c.quick, "quick", false, "play the short variants, whose figures have no meaning")
	flags.BoolVar(&c.skipBuild, "skip-build", false, "use the existing programs")
	flags.IntVar(&c.serverCore, "server-core", -1, "core of the server; -1: the last one")
	flags.IntVar(&c.loadCore, "load-core", -1, "core of publisher and clients; -1: the first one")
	flags.BoolVar(&c.together, "together", false, "let server, publisher and clients share all cores")
	flags.Int64Var(&c.maxRSS, "max-rss", 10<<10, "memory limit of a server in megabytes")
	flags.DurationVar(&c.quiet, "quiet", 0, "longest wait for idle cores before each server")
	flags.BoolVar(
		&c.profiles, "profiles", false,
		"write CPU profiles of rte-server into the folder of results; slows it down a little",
	)
	flags.BoolVar(&c.keep, "keep", false, "add to the measurements in the folder instead of replacing them")
	flags.BoolVar(&c.reportOnly, "report", false, "only write table and chart of the measurements in the folder")
	if err := flags.Parse(args); err != nil {
		return config{}, err
	}
	if flags.NArg() > 0 {
		return config{}, fmt.Errorf("%w: unexpected %q", errUsage, flags.Arg(0))
	}
	if c.runs < 1 || c.once && c.runs > 1 {
		return config{}, fmt.Errorf("%w: at least one run, and no more with -once", errUsage)
	}
	if c.quick && c.docs+c.readme != "" {
		return config{}, fmt.Errorf("%w: figures of short variants do not belong into documents", errUsage)
	}
	return c, c.chooseCores()
}

// chooseCores sets the cores that no flag has set.
func (c *config) chooseCores() error {
	if c.together {
		c.serverCore, c.loadCore = proc.AnyCore, proc.AnyCore
		return nil
	}
	cores, err := proc.Cores()
	if err != nil {
		return err
	}
	if c.serverCore < 0 {
		c.serverCore = cores[len(cores)-1]
	}
	if c.loadCore < 0 {
		c.loadCore = cores[0]
	}
	if c.serverCore == c.loadCore {
		return fmt.Errorf("%w: server and load need different cores", errUsage)
	}
	return nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c, err := parse(args, stderr)
	if err != nil {
		return err
	}
	peers, missing := peer.Find(strings.Split(c.peers, ","))
	if len(missing) > 0 {
		return fmt.Errorf("%w: no peer %s", errUsage, strings.Join(missing, ", "))
	}
	peers, without := peer.Installed(peers)
	if len(without) > 0 {
		_, _ = fmt.Fprintf(stderr, "left out: %s\n", strings.Join(without, ", "))
	}
	var names []string
	if c.scenarios != "" {
		names = strings.Split(c.scenarios, ",")
	}
	plans, err := scenarios.Load(names...)
	if err != nil {
		return err
	}
	var measurements []runner.Measurement
	if c.keep || c.reportOnly {
		if measurements, err = read(c.out); err != nil {
			return err
		}
	}
	if !c.reportOnly {
		measured, err := buildAndMeasure(ctx, c, peers, plans, measurements, stderr)
		if err != nil {
			return err
		}
		measurements = append(measurements, measured...)
		if ctx.Err() != nil {
			c.docs, c.readme = "", "" // incomplete measurements are written, but not into documents
		}
	}
	return errors.Join(write(c, measurements, stdout), ctx.Err())
}

func buildAndMeasure(
	ctx context.Context, c config, peers []peer.Peer, plans []scenarios.Scenario, before []runner.Measurement,
	progress io.Writer,
) ([]runner.Measurement, error) {
	binaries := filepath.Join(c.bench, "bin")
	if !c.skipBuild {
		_, _ = fmt.Fprintln(progress, "building the servers")
		if err := peer.Build(ctx, peers, c.bench, binaries); err != nil {
			return nil, err
		}
		if measuresInside(peers, plans) {
			if err := inside.Build(ctx, c.bench, binaries); err != nil {
				return nil, err
			}
		}
	}
	return measure(ctx, c, peers, plans, before, binaries, progress)
}

// measuresInside reports whether the benchmarks of the product are among the measurements.
func measuresInside(peers []peer.Peer, plans []scenarios.Scenario) bool {
	return slices.ContainsFunc(peers, func(p peer.Peer) bool { return p.Name == "rte" }) &&
		slices.ContainsFunc(plans, func(s scenarios.Scenario) bool { return s.Name == "miss" })
}

// place moves this process to the cores of the load in a scenario, and returns the options with those of both.
func place(o runner.Options, plan scenarios.Scenario, all []int) (runner.Options, error) {
	if plan.Together {
		o.ServerCore, o.LoadCore = proc.AnyCore, proc.AnyCore
	}
	if o.LoadCore == proc.AnyCore {
		return o, proc.SpreadSelf(all)
	}
	return o, proc.PinSelf(o.LoadCore)
}

// lastRun returns the number of the last run of a scenario, 0 if there is none.
func lastRun(measurements []runner.Measurement, scenario string) (last int) {
	for i := range measurements {
		if m := &measurements[i]; m.Scenario == scenario {
			last = max(last, m.Run)
		}
	}
	return last
}

// runsOf returns the number of runs of a scenario.
func (c *config) runsOf(plan scenarios.Scenario) int {
	if c.once || c.quick {
		return c.runs
	}
	return max(c.runs, plan.Runs)
}

// rounds returns the number of rounds. A scenario takes part in as many of them as it has runs, from the first one.
func rounds(c config, plans []scenarios.Scenario) int {
	most := c.runs
	for _, plan := range plans {
		most = max(most, c.runsOf(plan))
	}
	return most
}

// measure plays each scenario with each peer that can play it, in rounds, so that changes of the machine affect all
// peers. The numbers of the runs follow those of before. When ctx ends, it returns the measurements so far.
func measure(
	ctx context.Context, c config, peers []peer.Peer, plans []scenarios.Scenario, before []runner.Measurement,
	binaries string, progress io.Writer,
) ([]runner.Measurement, error) {
	most := 0
	for _, plan := range plans {
		most = max(most, plan.Connections())
	}
	files, err := proc.RaiseOpenFiles(uint64(most) + 1000)
	if err != nil {
		return nil, err
	}
	// Clients and publishers have a thread each. The kernel schedules them on the core, not the Go scheduler.
	runtime.GOMAXPROCS(6)
	all, err := proc.Cores()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.out, 0o755); err != nil { //nolint:gosec // all users may read the results
		return nil, fmt.Errorf("make folder: %w", err)
	}
	output, err := os.Create(filepath.Join(c.out, "servers.log"))
	if err != nil {
		return nil, fmt.Errorf("create log of the servers: %w", err)
	}
	defer func() { _ = output.Close() }()
	options := runner.Options{
		Binaries: binaries, ServerCore: c.serverCore, LoadCore: c.loadCore, MaxRSS: c.maxRSS << 20, OpenFiles: files,
		Progress: progress, ServerLog: output, Quiet: c.quiet,
	}
	if c.profiles {
		options.Profiles = c.out
	}
	var measurements []runner.Measurement
	for round := range rounds(c, plans) {
		for _, plan := range plans {
			if round >= c.runsOf(plan) {
				continue
			}
			if c.quick {
				plan = plan.Quick()
			}
			here, err := place(options, plan, all)
			if err != nil {
				return measurements, err
			}
			for _, p := range peers {
				if !plan.Plays(p.Kind) {
					continue
				}
				measurements = append(measurements, runner.Play(ctx, here, plan, p, lastRun(before, plan.Name)+round+1)...)
				if ctx.Err() != nil {
					return measurements, nil
				}
			}
		}
		if measuresInside(peers, plans) && !c.quick && round < c.runs {
			run := lastRun(before, "miss") + round + 1
			misses, err := inside.Miss(ctx, binaries, c.serverCore, run)
			if err != nil {
				misses = []runner.Measurement{{
					Scenario: "miss", Record: "in process", Peer: "rte", Run: run, Error: err.Error(),
				}}
			}
			measurements = append(measurements, misses...)
		}
	}
	return measurements, nil
}
