package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/loadgen"
	"github.com/rte-server/rte-server/internal/node"
)

// maxBenchClients bounds --clients.
const maxBenchClients = 20_000

func (p *program) benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench --org GUID",
		Short: "Put load on a running server and check the deliveries",
		Long: "Connects clients, subscribes each of them to the calls of some users, publishes events through the operator " +
			"port,\n" +
			"and reports deliveries, latency, and events that were lost, duplicated or out of order. If there are any, the " +
			"exit\n" +
			"code is 1. The server must let clients subscribe to users that it does not know, as directory.kind claims does.\n" +
			"Without --token, the command signs a token with auth.hmac_secret. Clients and server share the processors of " +
			"this\n" +
			"machine unless the server runs elsewhere: compare results, do not quote them.",
		Args: cobra.NoArgs,
	}
	settings := p.newSettings(cmd, false, nil)
	form := newOutput(cmd)
	page := cmd.Flags().String("report", "", "`file` for a page with the result as tables and charts (HTML)")
	b := &loadgen.Load{}
	cmd.Flags().StringVar(&b.Hub, "url", "http://127.0.0.1:8080/rte", "`URL` of the hub")
	cmd.Flags().StringVar(
		&b.Operators, "operators", "http://127.0.0.1:9090",
		"`URL` of the operator port; the command sends console.token if it is set",
	)
	cmd.Flags().StringVar(&b.Token, "token", "", "`token` of all clients")
	cmd.Flags().StringVar(&b.Organization, "org", "", "`GUID` of the organization")
	cmd.Flags().IntVar(&b.Clients, "clients", 100, "`number` of connections; quotas.user_connections must allow them")
	cmd.Flags().IntVar(&b.Topics, "topics", 100, "`number` of users with events")
	cmd.Flags().IntVar(&b.Subscriptions, "subscriptions", 10, "`number` of users that each client subscribes to")
	cmd.Flags().IntVar(&b.Rate, "rate", 100, "`number` of events per second")
	cmd.Flags().DurationVar(&b.Duration, "for", 10*time.Second, "`time` to publish")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		check := func(*config.Config) error { return nil }
		if b.Token == "" {
			check = config.CheckSigner
		}
		l, err := settings.load(check)
		if err != nil {
			return err
		}
		if err := prepareBench(b, &l.Config); err != nil {
			return usageError{err}
		}
		return p.bench(cmd.Context(), b, *form, *page)
	}
	return cmd
}

// prepareBench checks the flags, and signs a token if there is none.
func prepareBench(b *loadgen.Load, c *config.Config) error {
	organization, err := parseID("--org", b.Organization)
	if err != nil {
		return err
	}
	b.Organization = organization.String()
	b.ConsoleToken = c.Console.Token
	switch {
	case b.Clients < 1 || b.Clients > maxBenchClients:
		return fmt.Errorf("--clients: must be between 1 and %d", maxBenchClients)
	case b.Topics < 1 || b.Topics > 100_000:
		return errors.New("--topics: must be between 1 and 100000")
	case b.Subscriptions < 1 || b.Subscriptions > min(b.Topics, 1000):
		return errors.New("--subscriptions: must be between 1 and the number of topics, at most 1000")
	case b.Rate < 1 || b.Rate > 1_000_000:
		return errors.New("--rate: must be between 1 and 1000000")
	case b.Duration <= 0 || b.Duration > time.Hour:
		return errors.New("--for: must be above 0 and at most an hour")
	}
	if b.Token == "" {
		claims := authz.Claims{User: events.NewID(), Organization: organization, Role: authz.RoleService}
		b.Token, err = node.NewSigner(&c.Auth).Sign(claims, b.Duration+time.Hour)
	}
	return err
}

// bench puts load on a server and prints the result.
func (p *program) bench(ctx context.Context, load *loadgen.Load, form output, page string) error {
	ctx, stop := untilSignal(ctx)
	defer stop()
	screen := newScreen(p)
	load.Progress = screen.progress(load)
	r, err := load.Run(ctx)
	screen.clear()
	if errors.Is(err, loadgen.ErrToken) {
		return fmt.Errorf("401: %s", adviceOnToken(load.Token, time.Now()))
	}
	if err != nil {
		return fmt.Errorf("%w%s", err, adviceOnConnect(err, "--url and --operators name other addresses"))
	}
	if page != "" {
		if err := writeBenchPage(page, load, r); err != nil {
			return fmt.Errorf("--report: %w", err)
		}
	}
	text := screen.result(r)
	if form == outputJSON {
		if text, err = json.Marshal(r); err != nil {
			return err
		}
		text = append(text, '\n')
	}
	if _, err = p.stdout.Write(text); err == nil && !r.Complete() {
		err = errors.New("events were lost, duplicated or out of order")
	}
	return err
}
