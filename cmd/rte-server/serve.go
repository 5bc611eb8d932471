package main

import (
	"context"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/node"
)

func (p *program) serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: "Runs the server until SIGTERM, SIGINT or SIGHUP. Then it closes its connections and ends; a second signal " +
			"ends it at once.\n\n" +
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
	out := p.openLog(c)
	defer out.close()
	out.Info("starting", zap.String("version", programVersion()))
	for _, warning := range c.Warnings() {
		out.Warn("configuration warning", zap.String("option", warning))
	}
	if len(c.Redis.Addresses) == 0 {
		out.Info("running as a single node on the in-process backplane, because redis.addresses is not set")
	}
	n, err := node.New(node.Options{Config: c, Logger: out.Logger, Sink: out.sink, Version: programVersion()})
	if err != nil {
		return err
	}
	ctx, stop := untilSignal(ctx)
	defer stop()
	out.closeAfter(ctx, c.Shutdown.Timeout)
	return n.Run(ctx)
}

// checkServer returns the errors that keep a server from running with a configuration and its files.
func checkServer(c *config.Config) error {
	if err := config.CheckServer(c); err != nil {
		return err
	}
	return node.TryParts(c)
}
