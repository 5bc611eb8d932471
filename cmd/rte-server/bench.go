package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
)

// The bounds of a bench, and what it waits for.
const (
	maxBenchClients = 20_000
	// benchSettle is how long deliveries may stand still, when all is published, before the rest counts as lost.
	benchSettle = 2 * time.Second
	// benchPing is how often clients tell that they are there.
	benchPing = 10 * time.Second
	// benchTick is the time between two requests to publish, when the rate does not ask for more.
	benchTick = 5 * time.Millisecond
)

// bench is what the command line says about a bench.
type bench struct {
	url, operators, token, consoleToken, organization string

	clients, topics, subscriptions int
	rate                           int // events per second
	duration                       time.Duration
}

func (p *program) benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench --org GUID",
		Short: "Put load on a running server, and check what arrives",
		Long: "Connects clients, subscribes each of them to the calls of some users, publishes events through the operators' port\n" +
			"and reports deliveries, latency and what was lost, came twice or came out of order; if anything did, the exit code\n" +
			"is 1. The server must let the clients listen to users that it does not know, as directory.kind claims does.\n" +
			"Without --token, a token is signed with auth.hmac_secret. Clients and server share this machine's processors\n" +
			"unless the server runs elsewhere: compare figures, do not quote them.",
		Args: cobra.NoArgs,
	}
	settings := p.newSettings(cmd, false, nil)
	b := &bench{}
	cmd.Flags().StringVar(&b.url, "url", "http://127.0.0.1:8080/rte", "`URL` of the hub")
	cmd.Flags().StringVar(&b.operators, "operators", "http://127.0.0.1:9090", "`URL` of the operators' port, with console.token if it has one")
	cmd.Flags().StringVar(&b.token, "token", "", "`token` of all clients")
	cmd.Flags().StringVar(&b.organization, "org", "", "`GUID` of the organization")
	cmd.Flags().IntVar(&b.clients, "clients", 100, "`number` of connections")
	cmd.Flags().IntVar(&b.topics, "topics", 100, "`number` of users that events are about")
	cmd.Flags().IntVar(&b.subscriptions, "subscriptions", 10, "`number` of them that each client listens to")
	cmd.Flags().IntVar(&b.rate, "rate", 100, "events per `second`")
	cmd.Flags().DurationVar(&b.duration, "for", 10*time.Second, "how `long` to publish")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		check := func(*Config) error { return nil }
		if b.token == "" {
			check = checkSigner
		}
		l, err := settings.load(check)
		if err != nil {
			return err
		}
		if err := b.prepare(&l.Config); err != nil {
			return usageError{err}
		}
		return p.bench(cmd.Context(), b)
	}
	return cmd
}

// prepare checks the flags and signs a token if none is given.
func (b *bench) prepare(c *Config) error {
	organization, err := parseID("--org", b.organization)
	if err != nil {
		return err
	}
	b.organization = organization.String()
	b.consoleToken = c.Console.Token
	switch {
	case b.clients < 1 || b.clients > maxBenchClients:
		return fmt.Errorf("--clients: must be between 1 and %d", maxBenchClients)
	case b.topics < 1 || b.topics > 100_000:
		return errors.New("--topics: must be between 1 and 100000")
	case b.subscriptions < 1 || b.subscriptions > min(b.topics, 1000):
		return errors.New("--subscriptions: must be between 1 and the number of topics, at most 1000")
	case b.rate < 1 || b.rate > 1_000_000:
		return errors.New("--rate: must be between 1 and 1000000")
	case b.duration <= 0 || b.duration > time.Hour:
		return errors.New("--for: must be above 0 and at most an hour")
	}
	if b.token == "" {
		claims := authz.Claims{User: events.NewID(), Organization: organization, Role: authz.RoleService}
		b.token, err = newSigner(&c.Auth).Sign(claims, b.duration+time.Hour)
	}
	return err
}

// bench plays a bench and prints what came of it.
func (p *program) bench(ctx context.Context, b *bench) error {
	ctx, stop := untilSignal(ctx)
	defer stop()
	clients, err := b.connect(ctx)
	defer func() {
		for _, c := range clients {
			_ = c.ws.CloseNow()
		}
	}()
	if err != nil {
		return err
	}
	reading, stopReading := context.WithCancel(ctx)
	defer stopReading()
	group, failed := errgroup.WithContext(reading)
	for _, c := range clients {
		group.Go(func() error { return c.read(failed) })
	}
	group.Go(func() error { return ping(failed, clients) })

	began := time.Now()
	published, err := b.publish(failed)
	took := time.Since(began)
	expected := b.expected(published)
	if err == nil {
		settle(failed, clients, expected)
	}
	stopReading()
	if ended := group.Wait(); ended != nil && ctx.Err() == nil {
		return fmt.Errorf("a client lost its connection: %w", ended)
	}
	if err != nil {
		return err
	}
	sum := benchResult{}
	for _, c := range clients {
		sum.add(&c.result)
	}
	_, err = fmt.Fprintf(p.stdout, "published    %d events in %.1f s\n"+
		"delivered    %d of %d, %.0f per second\n"+
		"latency      p50 %s, p99 %s, most %s\n"+
		"lost         %d\nduplicates   %d\nout of order %d\n",
		published, took.Seconds(), sum.delivered, expected, float64(sum.delivered)/took.Seconds(),
		sum.quantile(0.5), sum.quantile(0.99), sum.slowest, expected-sum.delivered, sum.duplicates, sum.disordered)
	if err == nil && (sum.delivered != expected || sum.duplicates+sum.disordered > 0) {
		err = errors.New("events were lost, came twice or came out of order")
	}
	return err
}

// settle waits until everything has arrived, or nothing more does.
func settle(ctx context.Context, clients []*benchClient, expected int) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	last, since := -1, time.Now()
	for {
		delivered := 0
		for _, c := range clients {
			delivered += int(c.delivered.Load())
		}
		if delivered != last {
			last, since = delivered, time.Now()
		}
		if delivered >= expected || time.Since(since) > benchSettle {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
