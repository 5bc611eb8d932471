package loadgen

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// settleTime is how long deliveries may stand still, when all is published, before the rest counts as lost.
	settleTime = 2 * time.Second
	// pingInterval is how often clients tell that they are there.
	pingInterval = 10 * time.Second
	// publishTick is the time between two requests to publish, when the rate does not ask for more.
	publishTick = 5 * time.Millisecond
	// batchItems is how many items a Subscribe has at most: an item has 90 bytes, and the message that they come in may
	// have 32 KiB.
	batchItems = 200
)

// Load is what is put on a server.
type Load struct {
	Hub, Operators string // URLs
	Token          string // of all clients
	ConsoleToken   string // of the operator's port; empty: none
	Organization   string

	Clients, Topics, Subscriptions int // Subscriptions: of each client
	Rate                           int // events per second
	Duration                       time.Duration
}

// Report is what came of a load.
type Report struct {
	Published, Expected, Delivered, Duplicates, Disordered int

	Took               time.Duration // publishing
	Median, P99, Worst time.Duration // latencies
}

// Complete says whether everything arrived once and in order.
func (r *Report) Complete() bool {
	return r.Delivered == r.Expected && r.Duplicates+r.Disordered == 0
}

// Run plays a load and returns what came of it, complete or not.
func (l *Load) Run(ctx context.Context) (*Report, error) {
	clients, err := l.connect(ctx)
	defer func() {
		for _, c := range clients {
			_ = c.ws.CloseNow()
		}
	}()
	if err != nil {
		return nil, err
	}
	reading, stopReading := context.WithCancel(ctx)
	defer stopReading()
	group, failed := errgroup.WithContext(reading)
	for _, c := range clients {
		group.Go(func() error { return c.read(failed) })
	}
	group.Go(func() error { return ping(failed, clients) })

	began := time.Now()
	published, err := l.publish(failed)
	took := time.Since(began)
	expected := l.expected(published)
	if err == nil {
		settle(failed, clients, expected)
	}
	stopReading()
	if ended := group.Wait(); ended != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("a client lost its connection: %w", ended)
	}
	if err != nil {
		return nil, err
	}
	sum := result{}
	for _, c := range clients {
		sum.add(&c.result)
	}
	return &Report{
		Published: published, Expected: expected, Delivered: sum.delivered, Duplicates: sum.duplicates, Disordered: sum.disordered,
		Took: took, Median: sum.quantile(0.5), P99: sum.quantile(0.99), Worst: sum.slowest,
	}, nil
}

// settle waits until everything has arrived, or nothing more does.
func settle(ctx context.Context, clients []*client, expected int) {
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
		if delivered >= expected || time.Since(since) > settleTime {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
