package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/redis"
	rediscommand "github.com/rte-server/rte-server/internal/backplane/redis/command"
	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/node"
)

func (p *program) redisCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "redis",
		Short: "Commands for the Redis of this program",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(p.functionsCommand())
	return cmd
}

func (p *program) functionsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "functions",
		Short: "Print or load the functions that publishers call",
		Long: "Prints the library of Redis Functions with rte_publish, for \"redis-cli -x FUNCTION LOAD REPLACE\". Nodes " +
			"load it\n" +
			"themselves when it is missing or older, if their Redis user may.",
		Args: cobra.NoArgs,
	}
	settings := p.newSettings(cmd, false, map[string]string{"log.format": "console", "log.level": "warn"})
	script := cmd.Flags().Bool("script", false, "print it as a script for EVALSHA, for Redis before 7.0")
	load := cmd.Flags().Bool("load", false, "load it into the configured Redis")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case *load && *script:
			return usageError{errors.New("--load: a script needs no loading, publishers send it")}
		case *script:
			_, err := io.WriteString(p.stdout, rediscommand.Script())
			return err
		case !*load:
			_, err := io.WriteString(p.stdout, rediscommand.Functions())
			return err
		}
		l, err := settings.load(config.CheckBackplane)
		if err != nil {
			return err
		}
		return p.loadFunctions(cmd.Context(), &l.Config)
	}
	return cmd
}

// loadFunctions loads the functions into the configured Redis.
func (p *program) loadFunctions(ctx context.Context, c *config.Config) error {
	ctx, stop := untilSignal(ctx)
	defer stop()
	logger, _ := node.NewLogger(c, p.stderr)
	o, err := node.RedisOptions(&c.Redis, backplane.Options{Logger: logger.Named("backplane")})
	if err != nil {
		return err
	}
	if err := redis.LoadFunctions(ctx, o); err != nil {
		return fmt.Errorf("load functions: %w", err)
	}
	_, err = fmt.Fprintln(p.stdout, "loaded")
	return err
}
