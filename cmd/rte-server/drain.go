package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/rte-server/rte-server/internal/console"
)

// departureInterval is the time between two questions of --wait.
const departureInterval = time.Second

func (p *program) drainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "Send all clients of a running server to other nodes",
		Long: "Asks a running server, through its operator port, to close all its connections, evenly over a time, and to " +
			"refuse\n" +
			"new ones until --cancel. /readyz answers 503 meanwhile. Clients reconnect to other nodes.",
		Args: cobra.NoArgs,
	}
	port := p.newOperatorPort(cmd)
	over := cmd.Flags().Duration("over", 0, "`time` over which they are closed; default: shutdown.drain of the server")
	d := p.newDepartureCommand(cmd, port, "/api/drain")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		query := url.Values{}
		if *over != 0 {
			query.Set("over", over.String())
		}
		return d.run(cmd.Context(), query, func(now *console.Departure) bool { return now.Connections == 0 })
	}
	return cmd
}

func (p *program) shedCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "shed",
		Short: "Send some clients of a running server to other nodes",
		Long: "Asks a running server, through its operator port, to close a number of its connections, evenly over a time. " +
			"Clients\n" +
			"reconnect; the load balancer should send them to nodes with fewer connections.",
		Args: cobra.NoArgs,
	}
	port := p.newOperatorPort(cmd)
	number := cmd.Flags().String("connections", "", "`number` of connections to close, or all")
	over := cmd.Flags().Duration("over", time.Minute, "`time` over which they are closed")
	d := p.newDepartureCommand(cmd, port, "/api/shed")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *number == "" && !*d.cancel {
			return usageError{errors.New("--connections: how many connections leave?")}
		}
		query := url.Values{"connections": {*number}, "over": {over.String()}}
		return d.run(cmd.Context(), query, func(now *console.Departure) bool { return now.Action != "shed" })
	}
	return cmd
}

// departureCommand is a command that closes connections.
type departureCommand struct {
	program      *program
	port         *operatorPort
	path         string
	cancel, wait *bool
}

func (p *program) newDepartureCommand(cmd *cobra.Command, port *operatorPort, path string) *departureCommand {
	return &departureCommand{
		program: p, port: port, path: path,
		cancel: cmd.Flags().Bool("cancel", false, "end what is under way; the rest of the connections stays"),
		wait:   cmd.Flags().Bool("wait", false, "end when it is done, not when it has begun"),
	}
}

// run begins or cancels the action, prints a line and, with --wait, more lines until it is done.
func (d *departureCommand) run(ctx context.Context, query url.Values, done func(*console.Departure) bool) error {
	ctx, stop := untilSignal(ctx)
	defer stop()
	if err := d.port.load(); err != nil {
		return err
	}
	method := http.MethodPost
	if *d.cancel {
		method, query = http.MethodDelete, nil
	}
	for {
		var now console.Departure
		if err := d.port.do(ctx, method, d.path, query, "", &now); err != nil {
			return err
		}
		if err := d.port.print(d.program.stdout, departureText(&now)); err != nil {
			return err
		}
		if *d.cancel || !*d.wait || done(&now) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(departureInterval):
		}
		method, query = http.MethodGet, nil
	}
}

// connections returns a number of connections as text.
func connections(n int) string {
	if n == 1 {
		return "1 connection"
	}
	return fmt.Sprintf("%d connections", n)
}

// departureText returns one line.
func departureText(d *console.Departure) []byte {
	text := fmt.Appendf(nil, "%s: %s", d.Action, connections(d.Connections))
	if d.Leaving > 0 {
		over := time.Duration(d.OverSeconds * float64(time.Second))
		text = fmt.Appendf(text, ", %d leave over %s", d.Leaving, over)
	}
	if d.Held != "" {
		text = fmt.Appendf(text, ", paused: %s", d.Held)
	}
	return append(text, '\n')
}
