package load

import (
	"context"
	"errors"
	"math"
)

// ErrStopped is the error of a client that does not run any more.
var ErrStopped = errors.New("load client has stopped")

// Connect opens the connections of a group, inFlight at a time, and subscribes each to its first upTo topics. It
// returns when each connection is ready or has failed. Connect a group only once.
func (l *Client) Connect(ctx context.Context, g *Group, upTo, inFlight int) (Outcome, error) {
	g.latency, g.ready = &Histogram{}, &Histogram{}
	g.conns = make([]*conn, g.Connections)
	for i := range g.conns {
		g.conns[i] = &conn{group: g, index: i, base: g.base(i), want: upTo, sequences: make([]sequence, g.Count)}
	}
	return l.runJob(ctx, func() *job {
		l.groups = append(l.groups, g)
		l.conns = append(l.conns, g.conns...)
		return &job{queue: g.conns, start: l.dial}
	}, inFlight)
}

// Subscribe subscribes each open connection of a group to its first upTo topics, inFlight connections at a time.
func (l *Client) Subscribe(ctx context.Context, g *Group, upTo, inFlight int) (Outcome, error) {
	return l.runJob(ctx, func() *job {
		j := &job{start: func(c *conn) {
			if c.state != ready { // it was lost meanwhile
				l.finish(c, ErrRefused)
				return
			}
			c.state, c.want, c.started = subscribing, upTo, l.clock.Now()
			l.subscribe(c)
		}}
		for _, c := range g.conns {
			if c.state == ready {
				j.queue = append(j.queue, c)
			}
		}
		return j
	}, inFlight)
}

func (l *Client) runJob(ctx context.Context, prepare func() *job, inFlight int) (Outcome, error) {
	var j *job
	if err := l.do(ctx, func() {
		j = prepare()
		j.done = make(chan struct{})
		l.run(j, inFlight)
	}); err != nil {
		return Outcome{}, err
	}
	select {
	case <-j.done:
		return j.outcome, nil
	case <-l.stopped:
		return Outcome{}, ErrStopped
	case <-ctx.Done():
		return Outcome{}, ctx.Err()
	}
}

// Freeze stops reading from the connections of a group for good. They continue to send keep-alive messages.
func (l *Client) Freeze(ctx context.Context, g *Group) error {
	return l.do(ctx, func() {
		for _, c := range g.conns {
			if c.state == ready {
				c.frozen = true
				l.watch(c)
			}
		}
	})
}

// Slow makes the connections of a group read at most bytesPerSecond each from now on. The latency of what they read
// counts at the time of reading.
func (l *Client) Slow(ctx context.Context, g *Group, bytesPerSecond int) error {
	return l.do(ctx, func() {
		for _, c := range g.conns {
			if c.state == ready {
				c.frozen, c.pace = true, bytesPerSecond
				l.slow = append(l.slow, c)
				l.watch(c)
			}
		}
	})
}

// Measure resets the latencies and times the events that are published from now until Finish.
func (l *Client) Measure(ctx context.Context) error {
	return l.do(ctx, func() {
		for _, g := range l.groups {
			*g.latency = Histogram{}
		}
		l.from, l.until = l.clock.Now(), math.MaxInt64
	})
}

// Finish ends Measure. Events that were published before it count even if they arrive later.
func (l *Client) Finish(ctx context.Context) error {
	return l.do(ctx, func() { l.until = l.clock.Now() })
}

// Account is the result of a group.
type Account struct {
	Open       int    // connections that are ready
	Delivered  uint64 // deliveries to all of them, since they were opened
	Missing    uint64 // events of their topics that open, reading connections have not received
	Late       uint64 // deliveries after a newer one of the same topic
	Duplicates uint64
	Foreign    uint64 // deliveries of topics without a subscription
	Latency    Histogram
	Ready      Histogram
}

// Account returns the result of a group. published must return the number of events of a topic since the group
// connected.
func (l *Client) Account(ctx context.Context, g *Group, published func(topic uint32) uint32) (Account, error) {
	var a Account
	err := l.do(ctx, func() {
		a = Account{
			Delivered:  g.delivered.Load(),
			Late:       g.tally.late,
			Duplicates: g.tally.duplicates,
			Foreign:    g.tally.foreign,
			Latency:    *g.latency,
			Ready:      *g.ready,
		}
		for _, c := range g.conns {
			if c.state != ready {
				continue
			}
			a.Open++
			if c.frozen {
				continue
			}
			for slot := range c.have {
				if n := published(g.Topic(c.index, slot)); n > c.sequences[slot].received {
					a.Missing += uint64(n - c.sequences[slot].received)
				}
			}
		}
	})
	return a, err
}

// do makes Run call f and waits for the end of the call.
func (l *Client) do(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case l.commands <- func() { f(); close(done) }:
	case <-l.stopped:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
	l.signal()
	select {
	case <-done:
		return nil
	case <-l.stopped:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}
