package main

import (
	"context"
	"os"
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
		Long: "Runs the server until SIGTERM or SIGINT. Then it closes its connections and ends; a second signal ends it\n" +
			"at once. At SIGHUP it reads its configuration again and logs the keys that changed; docs/configuration.md\n" +
			"lists the keys whose new values need a restart.\n\n" +
			"Flags are configuration keys; they can also be set in a file and in the environment.",
		Args: cobra.NoArgs,
	}
	settings := p.newSettings(cmd, true, nil)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		l, err := settings.load(checkServer)
		if err != nil {
			return err
		}
		return p.serve(cmd.Context(), l)
	}
	return cmd
}

// serve runs a server until ctx ends or a signal arrives.
func (p *program) serve(ctx context.Context, l *config.Loaded) error {
	c := &l.Config
	hangups := make(chan os.Signal, 1) // several at a time are one
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	out := p.openLog(c)
	defer out.close()
	out.Info("starting", zap.String("version", programVersion()))
	for _, warning := range c.Warnings() {
		out.Warn("configuration warning", zap.String("option", warning))
	}
	if len(c.Redis.Addresses) == 0 {
		out.Info("running as a single node on the in-process backplane, because redis.addresses is not set")
	}
	n, err := node.New(node.Options{
		Config: c, Loaded: l, Logger: out.Logger, Level: &out.level, Sink: out.sink, Version: programVersion(),
	})
	if err != nil {
		return err
	}
	ctx, stop := until(ctx, []os.Signal{syscall.SIGTERM, syscall.SIGINT})
	defer stop()
	out.closeAfter(ctx, n.StopTimeout)
	return n.Run(ctx, reloadAt(hangups, n))
}

// reloadAt returns the task that reads the configuration of n again at each signal.
func reloadAt(hangups <-chan os.Signal, n *node.Node) node.Task {
	return func(ctx context.Context) error {
		for {
			select {
			case <-hangups:
				_, _ = n.Reload("SIGHUP") // n logs the error
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// checkServer returns the errors that keep a server from running with a configuration and its files.
func checkServer(c *config.Config) error {
	if err := config.CheckServer(c); err != nil {
		return err
	}
	return node.TryParts(c)
}
