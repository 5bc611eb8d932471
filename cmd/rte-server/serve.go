package main

import (
	"context"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/node"
)

func (p *program) serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: "Runs the server until SIGTERM or SIGINT. Then it closes its connections and ends; a second signal ends it at once.\n\n" +
			"Flags are configuration keys; they can also be set in a file and in the environment.",
		Args: cobra.NoArgs,
	}
	settings := p.newSettings(cmd, true, nil)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		l, err := settings.load(checkServer)
		if err != nil {
			return err
		}
		return p.serve(cmd.Context(), &l.Config)
	}
	return cmd
}

// serve runs a server until ctx ends or a signal arrives.
func (p *program) serve(ctx context.Context, c *config.Config) error {
	logger := node.NewLogger(c, p.stderr)
	logger.Info("starting", zap.String("version", programVersion()))
	for _, warning := range c.Warnings() {
		logger.Warn("unsafe configuration", zap.String("option", warning))
	}
	if len(c.Redis.Addresses) == 0 {
		logger.Info("running as a single node on the in-process backplane, because redis.addresses is not set")
	}
	n, err := node.New(node.Options{Config: c, Logger: logger, Version: programVersion()})
	if err != nil {
		return err
	}
	ctx, stop := untilSignal(ctx)
	defer stop()
	return n.Run(ctx)
}

// untilSignal returns a context that ends with ctx, or at the first SIGTERM or SIGINT. A second signal ends the
// process.
func untilSignal(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// checkServer returns the errors that keep a server from running with a configuration and its files.
func checkServer(c *config.Config) error {
	if err := config.CheckServer(c); err != nil {
		return err
	}
	return node.TryParts(c)
}
