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

// config is what the flags say.
type config struct {
	bench      string
	out        string
	docs       string
	readme     string
	peers      string
	scenarios  string
	runs       int
	quick      bool
	skipBuild  bool
	serverCore int
	loadCore   int
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
	flags.StringVar(&c.readme, "readme", "", "file to put a summary into; empty: leave it alone")
	flags.StringVar(&c.docs, "docs", "", "folder with performance.md, to put table and chart into; empty: leave it alone")
	flags.StringVar(&c.peers, "peers", "limit,signalr,centrifugo,rte", "peers or kinds of peers, separated by commas")
	flags.StringVar(&c.scenarios, "scenarios", "", "scenarios, separated by commas; empty: all")
	flags.IntVar(&c.runs, "runs", 1, "how often everything is played, at least; the table shows medians")
	flags.BoolVar(&c.quick, "quick", false, "play the short variants, whose figures say nothing")
	flags.BoolVar(&c.skipBuild, "skip-build", false, "use the programs that are there")
	flags.IntVar(&c.serverCore, "server-core", -1, "core of the server; -1: the last one")
	flags.IntVar(&c.loadCore, "load-core", -1, "core of publisher and clients; -1: the first one")
	flags.Int64Var(&c.maxRSS, "max-rss", 10<<10, "megabytes that a server may use")
	flags.DurationVar(&c.quiet, "quiet", 0, "how long to wait, before each server, until nobody else uses the cores")
	flags.BoolVar(&c.profiles, "profiles", false, "write CPU profiles of rte-server into the folder of results; costs it a little")
	flags.BoolVar(&c.keep, "keep", false, "add to the measurements that are in the folder instead of replacing them")
	flags.BoolVar(&c.reportOnly, "report", false, "measure nothing: write table and chart of the measurements that are there")
	if err := flags.Parse(args); err != nil {
		return config{}, err
	}
	if flags.NArg() > 0 {
		return config{}, fmt.Errorf("%w: unexpected %q", errUsage, flags.Arg(0))
	}
	if c.runs < 1 {
		return config{}, fmt.Errorf("%w: at least one run", errUsage)
	}
	if c.quick && c.docs+c.readme != "" {
		return config{}, fmt.Errorf("%w: the figures of short variants belong into no document", errUsage)
	}
	return c, c.chooseCores()
}

// chooseCores fills in the cores that were not given.
func (c *config) chooseCores() error {
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
		return fmt.Errorf("%w: server and load need a core each", errUsage)
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
		measured, err := buildAndMeasure(ctx, c, peers, plans, stderr)
		if err != nil {
			return err
		}
		measurements = append(measurements, measured...)
		if ctx.Err() != nil {
			c.docs, c.readme = "", "" // what is there when somebody interrupts is kept, but it is not the whole
		}
	}
	return errors.Join(write(c, measurements, stdout), ctx.Err())
}

func buildAndMeasure(ctx context.Context, c config, peers []peer.Peer, plans []scenarios.Scenario, progress io.Writer) ([]runner.Measurement, error) {
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
	return measure(ctx, c, peers, plans, binaries, progress)
}

// measuresInside says whether the benchmarks of the product itself are part of what is measured.
func measuresInside(peers []peer.Peer, plans []scenarios.Scenario) bool {
	return slices.ContainsFunc(peers, func(p peer.Peer) bool { return p.Name == "rte" }) &&
		slices.ContainsFunc(plans, func(s scenarios.Scenario) bool { return s.Name == "miss" })
}

// rounds is how many rounds there are; a scenario takes part in the first of them.
func rounds(c config, plans []scenarios.Scenario) int {
	most := c.runs
	for _, plan := range plans {
		if c.quick {
			plan = plan.Quick()
		}
		most = max(most, plan.Runs)
	}
	return most
}

// measure returns what it has when ctx ends. It plays every scenario against every peer that can play it, in rounds, so
// that what changes on the machine while it runs touches all of them.
func measure(ctx context.Context, c config, peers []peer.Peer, plans []scenarios.Scenario, binaries string, progress io.Writer) ([]runner.Measurement, error) {
	most := 0
	for _, plan := range plans {
		most = max(most, plan.Connections())
	}
	files, err := proc.RaiseOpenFiles(uint64(most) + 1000)
	if err != nil {
		return nil, err
	}
	// The clients and publishers have a thread each; the kernel, and not the Go scheduler, shares the core between them.
	runtime.GOMAXPROCS(6)
	if err := proc.PinSelf(c.loadCore); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.out, 0o755); err != nil { //nolint:gosec // results are for everybody
		return nil, fmt.Errorf("make folder: %w", err)
	}
	output, err := os.Create(filepath.Join(c.out, "servers.log"))
	if err != nil {
		return nil, fmt.Errorf("create log of the servers: %w", err)
	}
	defer func() { _ = output.Close() }()
	options := runner.Options{
		Binaries: binaries, ServerCore: c.serverCore, LoadCore: c.loadCore, MaxRSS: c.maxRSS << 20, OpenFiles: files, Progress: progress, ServerLog: output,
		Quiet: c.quiet,
	}
	if c.profiles {
		options.Profiles = c.out
	}
	var measurements []runner.Measurement
	for round := range rounds(c, plans) {
		for _, plan := range plans {
			if c.quick {
				plan = plan.Quick()
			}
			if round >= max(c.runs, plan.Runs) {
				continue
			}
			for _, p := range peers {
				if !plan.Plays(p.Kind) {
					continue
				}
				measurements = append(measurements, runner.Play(ctx, options, plan, p, round+1)...)
				if ctx.Err() != nil {
					return measurements, nil
				}
			}
		}
		if measuresInside(peers, plans) && !c.quick && round < c.runs {
			misses, err := inside.Miss(ctx, binaries, c.serverCore, round+1)
			if err != nil {
				misses = []runner.Measurement{{Scenario: "miss", Record: "in process", Peer: "rte", Run: round + 1, Error: err.Error()}}
			}
			measurements = append(measurements, misses...)
		}
	}
	return measurements, nil
}
