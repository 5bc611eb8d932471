package loadgen

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// quietTime is how long no delivery may arrive after the last publish before the missing ones count as lost.
	quietTime = 2 * time.Second
	// pingInterval is the time between two pings of a client.
	pingInterval = 10 * time.Second
	// publishTick is the time between two requests to publish, unless the rate needs more.
	publishTick = 5 * time.Millisecond
	// batchItems bounds the items of a Subscribe: an item has 90 bytes, so they fit into a message of 32 KiB.
	batchItems = 200
)

// Load describes the load on a server.
type Load struct {
	Hub, Operators string // URLs
	Token          string // of all clients
	ConsoleToken   string // of the operator port; empty: none
	Organization   string

	Clients, Topics, Subscriptions int // Subscriptions is the number of each client
	Rate                           int // events per second
	Duration                       time.Duration

	// Progress is called about once a second from a goroutine of Run, with the progress so far. Optional.
	Progress func(Progress)
}

// Progress is the progress of a load.
type Progress struct{ Connected, Published, Delivered int }

// Report is the result of a load.
type Report struct {
	Published  int `json:"published"`
	Expected   int `json:"expected"` // deliveries
	Delivered  int `json:"delivered"`
	Duplicates int `json:"duplicates"`
	Disordered int `json:"disordered"`

	Took time.Duration `json:"took"` // by publishing, in nanoseconds

	// Latencies, in nanoseconds.
	Median time.Duration `json:"median"`
	P99    time.Duration `json:"p99"`
	Worst  time.Duration `json:"worst"`
	// Latencies is their distribution, without the buckets that are empty.
	Latencies []Bucket `json:"latencies"`
}

// Bucket is the number of deliveries with a latency of at most UpTo, and above the UpTo of the previous bucket.
type Bucket struct {
	UpTo  time.Duration `json:"upTo"` // nanoseconds
	Count int           `json:"count"`
}

// Complete reports whether every event arrived once and in order.
func (r *Report) Complete() bool {
	return r.Delivered == r.Expected && r.Duplicates+r.Disordered == 0
}

// Run puts the load on the server and returns the result, complete or not. It returns an error if a client cannot
// connect or loses its connection, or if publishing fails.
func (l *Load) Run(ctx context.Context) (*Report, error) {
	var p progress
	defer l.watch(&p)()
	clients, err := l.connect(ctx, &p)
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
	published, err := l.publish(failed, &p)
	took := time.Since(began)
	expected := l.expected(published)
	if err == nil {
		awaitDeliveries(failed, clients, expected)
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
		Published: published, Expected: expected, Delivered: sum.delivered, Duplicates: sum.duplicates,
		Disordered: sum.disordered,
		Took:       took, Median: sum.quantile(0.5), P99: sum.quantile(0.99), Worst: sum.slowest,
		Latencies: sum.distribution(),
	}, nil
}

// awaitDeliveries waits until all deliveries have arrived, or none has for quietTime.
func awaitDeliveries(ctx context.Context, clients []*client, expected int) {
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
		if delivered >= expected || time.Since(since) > quietTime {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
