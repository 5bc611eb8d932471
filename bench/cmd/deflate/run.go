package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rte-server/rte-server/bench/peer"
	"github.com/rte-server/rte-server/bench/proc"
	"github.com/rte-server/rte-server/bench/report"
)

var errUsage = errors.New("usage")

// spareFiles is the number of open files that are not connections.
const spareFiles = 1000

// config has the values of the flags.
type config struct {
	bench      string
	binaries   string
	docs       string
	peers      string
	clients    int
	idle       int
	speed      float64
	pause      time.Duration
	serverCore int
}

func parse(args []string, stderr io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet("deflate", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&c.bench, "bench", ".", "folder of the bench module")
	flags.StringVar(&c.binaries, "binaries", "bin", "folder for the built programs")
	flags.StringVar(&c.docs, "docs", "", "folder with performance.md, for the table; empty: none")
	flags.StringVar(&c.peers, "peers", "centrifugo,rte", "centrifugo, rte or both, separated by commas")
	flags.IntVar(&c.clients, "clients", 500, "number of clients in the minute")
	flags.IntVar(&c.idle, "idle", 2000, "number of idle connections")
	flags.Float64Var(&c.speed, "speed", 1, "speed of the simulated minute; 1: as on the clock")
	flags.DurationVar(&c.pause, "pause", 3*time.Second, "pause before each measurement")
	if err := flags.Parse(args); err != nil {
		return config{}, err
	}
	switch {
	case flags.NArg() > 0:
		return config{}, fmt.Errorf("%w: unexpected %q", errUsage, flags.Arg(0))
	case c.clients < 1 || c.idle < 1:
		return config{}, fmt.Errorf("%w: at least one client and one idle connection", errUsage)
	case !(c.speed > 0):
		return config{}, fmt.Errorf("%w: -speed must be above 0", errUsage)
	}
	return c, nil
}

// run measures with the server on the last core, and publisher and clients on the first one.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c, err := parse(args, stderr)
	if err != nil {
		return err
	}
	names := strings.Split(c.peers, ",")
	for _, name := range names {
		if name != "centrifugo" && name != "rte" {
			return fmt.Errorf("%w: no peer %s", errUsage, name)
		}
	}
	peers, _ := peer.Find(names)
	peers = slices.DeleteFunc(peers, func(p peer.Peer) bool { return !slices.Contains(names, p.Name) })
	if err := peer.Build(ctx, peers, c.bench, c.binaries); err != nil {
		return err
	}
	if _, err := proc.RaiseOpenFiles(uint64(max(c.clients, c.idle)) + spareFiles); err != nil { //nolint:gosec // positive
		return err
	}
	cores, err := proc.Cores()
	if err != nil {
		return err
	}
	c.serverCore = cores[len(cores)-1]
	if err := proc.PinSelf(cores[0]); err != nil {
		return err
	}
	var results []result
	for _, p := range peers {
		for _, deflate := range []bool{false, true} {
			r, err := measure(ctx, c, p, deflate, stderr)
			if err != nil {
				return fmt.Errorf("%s, deflate %v: %w", p.Name, deflate, err)
			}
			_, _ = fmt.Fprintf(stderr, "%s, deflate %v: %d deliveries, %v of CPU\n", p.Name, deflate, r.deliveries, r.cpu)
			results = append(results, r)
		}
	}
	var text bytes.Buffer
	if err := write(&text, c, results); err != nil {
		return err
	}
	if _, err := stdout.Write(text.Bytes()); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	if c.docs == "" {
		return nil
	}
	return report.Insert(filepath.Join(c.docs, "performance.md"), "bench-deflate", text.Bytes())
}

// write writes the table in Markdown.
func write(w io.Writer, c config, results []result) error {
	var rows [][]string
	var others float64
	for _, r := range results {
		title := r.title
		if r.deflate {
			title += ", deflate"
		}
		others = max(others, r.others)
		deliveries := float64(r.deliveries)
		rows = append(rows, []string{
			title,
			fmt.Sprintf("%.0f KB", float64(r.bytes)/float64(c.clients)/1000),
			fmt.Sprintf("%.0f B", float64(r.bytes)/deliveries),
			fmt.Sprintf("%.1f us", r.cpu.Seconds()*1e6/deliveries),
			fmt.Sprintf("%.0f %%", 100*r.cpu.Seconds()/r.elapsed.Seconds()),
			fmt.Sprintf("%.1f KB", float64(r.idle)/float64(c.idle)/1024),
			fmt.Sprintf("%d MB", r.rss>>20),
		})
	}
	first := results[0]
	_, err := fmt.Fprintf(w, "\nMeasured on %s: %s; %d clients, each subscribed to all %d topics of the minute; "+
		"%d events in %.0f seconds; memory with %d idle connections, each with one subscription; "+
		"others used at most %.0f %% of the server's core.\n\n",
		time.Now().UTC().Format(time.DateOnly), report.Machine(), c.clients, first.topics, first.events,
		time.Minute.Seconds()/c.speed, c.idle, 100*others)
	if err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return report.Table(w, []string{
		"server", "per client in the minute", "per delivery", "CPU per delivery", "core", "per idle connection",
		"server after the minute",
	}, rows)
}
