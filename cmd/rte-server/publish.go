package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/demo"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/node"
)

func (p *program) publishCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "publish [FILE|-]",
		Short: "Publish events to Redis",
		Long: "Publishes events to the configured Redis: one JSON object per line, in the published PascalCase form. The " +
			"command\n" +
			"checks each line first and prints one line with its result. The exit code is 1 if any event was not published.",
		Args: cobra.MaximumNArgs(1),
	}
	settings := p.newSettings(cmd, false, map[string]string{"log.format": "console", "log.level": "warn"})
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		l, err := settings.load(config.CheckBackplane)
		if err != nil {
			return err
		}
		in := p.stdin
		if len(args) == 1 && args[0] != "-" {
			file, err := os.Open(args[0])
			if err != nil {
				return usageError{err}
			}
			defer file.Close()
			in = file
		}
		ctx, stop := untilSignal(cmd.Context())
		defer stop()
		catalog, err := node.NewCatalog(&l.Events)
		if err != nil {
			return err
		}
		logger, _ := node.NewLogger(&l.Config, p.stderr)
		return withPublisher(ctx, &l.Config, catalog, logger, func(ctx context.Context, to demo.Publisher) error {
			return publishLines(ctx, &l.Events, catalog, to, in, p.stdout)
		})
	}
	return cmd
}

// withPublisher runs do with the configured backplane and returns when do does.
func withPublisher(
	ctx context.Context, c *config.Config, catalog *events.Catalog, logger *zap.Logger,
	do func(context.Context, demo.Publisher) error,
) error {
	to, err := node.NewBackplane(&c.Redis, nil, backplane.Options{
		Catalog: catalog, Sink: noSubscribers{}, Logger: logger.Named("backplane"),
	})
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- to.Run(running) }()
	err = do(ctx, to)
	stop()
	return errors.Join(err, <-ended)
}

// noSubscribers is the sink of a backplane that only publishes.
type noSubscribers struct{}

// Dispatch implements backplane.Sink.
func (noSubscribers) Dispatch(*events.Event) {}

// Wants implements backplane.Sink.
func (noSubscribers) Wants(events.Topic) bool { return false }

// Offer implements backplane.Sink.
func (noSubscribers) Offer(*events.Event) bool { return true }

// maxLine bounds a line, in bytes: far above any event.
const maxLine = 16 << 20

// publishLines publishes the lines of in and writes the result of each to out.
func publishLines(
	ctx context.Context, c *config.Events, catalog *events.Catalog, to demo.Publisher, in io.Reader, out io.Writer,
) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	failed, number := 0, 0
	for lines.Scan() {
		number++
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		result, err := publishLine(ctx, c, catalog, to, line)
		if err != nil {
			failed++
			result = "not published: " + err.Error()
		}
		if _, err := fmt.Fprintf(out, "%d: %s\n", number, result); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("line %d: %w", number+1, err)
	}
	if failed > 0 {
		return fmt.Errorf("%d events were not published", failed)
	}
	return nil
}

// publishLine checks one event and publishes it. It returns a text for people, which warns of an expired event: no
// client receives it.
func publishLine(
	ctx context.Context, c *config.Events, catalog *events.Catalog, to demo.Publisher, line []byte,
) (string, error) {
	event, err := catalog.Decode(line)
	if err == nil {
		_, err = catalog.AppendJSON(nil, &event) // checks the whole event, as a node with subscribers does
	}
	if err != nil {
		return "", err
	}
	if err := to.Publish(ctx, line); err != nil {
		return "", err
	}
	definition := catalog.Definition(event.Type)
	result := fmt.Sprintf("published %s of %s %s", definition.Name, definition.Kind, event.Entity)
	if now := time.Now(); c.Expire && event.Expired(now, c.ClockSkew) {
		result += ", which has expired: " + event.DescribeExpiry(now)
	}
	return result, nil
}
