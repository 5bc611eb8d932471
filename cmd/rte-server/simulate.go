package main

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/demo"
	"github.com/rte-server/rte-server/internal/node"
)

// simulation has the flags of the simulator.
type simulation struct {
	seed   uint64
	rate   float64
	events int
}

// addSimulationFlags adds the flags of a simulation to cmd.
func addSimulationFlags(cmd *cobra.Command) *simulation {
	s := &simulation{}
	cmd.Flags().Uint64Var(&s.seed, "seed", 1, "`number` that determines all events: equal seeds, equal days")
	cmd.Flags().Float64Var(&s.rate, "rate", demo.NaturalRate, "average `events` per second")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if s.rate <= 0 || s.rate > maxRate {
			return usageError{errors.New("--rate: must be above 0 and at most 100000")}
		}
		return nil
	}
	return s
}

// maxRate is far above the rate of one simulator.
const maxRate = 100_000

// simulator makes the simulator of these flags.
func (s *simulation) simulator(
	o *demo.Organization, to demo.Publisher, logger *zap.Logger, reg prometheus.Registerer,
) *demo.Simulator {
	return demo.New(demo.Options{
		Organization: o, Publisher: to, Seed: s.seed, Speed: s.rate / demo.NaturalRate, Limit: s.events,
		Logger: logger.Named("demo"), Registerer: reg,
	})
}

func (p *program) simulateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Publish the events of a simulated call centre to Redis",
		Long: "Publishes the events of the demo organization's call centre to the configured Redis until it is stopped. " +
			"Clients need\n" +
			"tokens for that organization: \"rte-server token --org 0d000000-0000-4000-8000-000000000001\".",
		Args: cobra.NoArgs,
	}
	settings := p.newSettings(cmd, false, map[string]string{"log.format": "console"})
	simulation := addSimulationFlags(cmd)
	cmd.Flags().IntVar(&simulation.events, "events", 0, "`number` of events after which to stop; 0: none")
	duration := cmd.Flags().Duration("for", 0, "`time` after which to stop; 0: none")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		l, err := settings.load(config.CheckBackplane)
		if err != nil {
			return err
		}
		return p.simulate(cmd.Context(), &l.Config, simulation, *duration)
	}
	return cmd
}

// simulate publishes until ctx ends, a signal arrives or the time is over.
func (p *program) simulate(
	ctx context.Context, c *config.Config, simulation *simulation, duration time.Duration,
) error {
	out := p.openLog(c)
	defer out.close()
	ctx, stop := untilSignal(ctx)
	defer stop()
	if duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, duration)
		defer cancel()
	}
	catalog, err := node.NewCatalog(&c.Events)
	if err != nil {
		return err
	}
	return withPublisher(ctx, c, catalog, out.Logger, func(ctx context.Context, to demo.Publisher) error {
		return simulation.simulator(demo.NewOrganization(), to, out.Logger, nil).Run(ctx)
	})
}
