package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/demo"
	"github.com/rte-server/rte-server/internal/node"
	"github.com/rte-server/rte-server/internal/simulator"
)

// simulation has the flags of the simulator.
type simulation struct {
	scenario string
	seed     uint64
	rate     float64
	events   int
}

// addSimulationFlags adds the flags of a simulation to cmd.
func addSimulationFlags(cmd *cobra.Command) *simulation {
	s := &simulation{}
	cmd.Flags().StringVar(&s.scenario, "scenario", simulator.DefaultScenario,
		"`name` or file of the simulated day: "+strings.Join(simulator.Scenarios(), ", "))
	cmd.Flags().Uint64Var(&s.seed, "seed", 1, "`number` that determines all events: equal seeds, equal days")
	cmd.Flags().Float64Var(&s.rate, "rate", 0, "average `events` per second; 0: as the scenario has it")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if !(s.rate >= 0 && s.rate <= maxRate) {
			return usageError{errors.New("--rate: must be between 0 and 100000")}
		}
		return nil
	}
	return s
}

// maxRate is the highest useful rate: the fan-out is slower than the simulator.
const maxRate = 100_000

// day returns the simulated day.
func (s *simulation) day(o *simulator.Organization) (*simulator.Scenario, error) {
	scenario, err := simulator.LoadScenario(s.scenario, o)
	if err != nil {
		return nil, usageError{fmt.Errorf("--scenario: %w", err)}
	}
	return scenario, nil
}

// player makes the player of a day.
func (s *simulation) player(
	o *simulator.Organization, day *simulator.Scenario, to demo.Publisher, logger *zap.Logger, reg prometheus.Registerer,
) (*demo.Player, error) {
	return demo.NewPlayer(demo.PlayerOptions{
		Organization: o, Scenario: day, Publisher: to, Seed: s.seed, Rate: s.rate, Limit: s.events,
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
	organization := simulator.NewOrganization()
	day, err := simulation.day(organization)
	if err != nil {
		return err
	}
	catalog, err := node.NewCatalog(&c.Events)
	if err != nil {
		return err
	}
	return withPublisher(ctx, c, catalog, out.Logger, func(ctx context.Context, to demo.Publisher) error {
		player, err := simulation.player(organization, day, to, out.Logger, nil)
		if err != nil {
			return err
		}
		return player.Run(ctx)
	})
}
