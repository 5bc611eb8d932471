package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rte-server/rte-server/bench/peer"
	"github.com/rte-server/rte-server/bench/proc"
)

var errLost = errors.New("events were lost or repeated")

const (
	// drainLimit bounds the wait for deliveries after the last event; drainPoll is the interval of counting them.
	drainLimit = 30 * time.Second
	drainPoll  = 5 * time.Millisecond
	maxRSS     = 10 << 30 // of a server
)

// result has the figures of one server in one mode.
type result struct {
	title      string
	deflate    bool
	topics     int
	events     int
	deliveries int64
	bytes      int64 // from the sockets of all clients during the minute
	cpu        time.Duration
	elapsed    time.Duration
	others     float64 // fraction of the server's core that other processes used
	idle       int64   // growth of resident memory by all idle connections
	rss        int64   // after the minute
}

// session is one server in one mode.
type session struct {
	config
	peer   peer.Peer
	launch peer.Launch
	server *proc.Server
	result result
}

// measure starts a server, measures it and stops it.
func measure(ctx context.Context, c config, p peer.Peer, deflate bool, log io.Writer) (result, error) {
	s := session{config: c, peer: p, result: result{title: p.Title, deflate: deflate}}
	dir, err := os.MkdirTemp("", "rte-bench-")
	if err != nil {
		return s.result, fmt.Errorf("make folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ports, err := proc.FreePorts(3)
	if err != nil {
		return s.result, err
	}
	plan, err := newMinute(p.Form, time.Now(), c.speed)
	if err != nil {
		return s.result, err
	}
	s.launch, err = p.Prepare(peer.Setup{
		Binaries: c.binaries, Dir: dir, Client: ports[0], Operator: ports[1], Broker: ports[2],
		Topics: plan.topics, Auth: true, Deflate: deflate,
	})
	if err != nil {
		return s.result, fmt.Errorf("prepare: %w", err)
	}
	if p.Name == "rte" { // as by default: newer states must not replace those that a client is late to read
		s.launch.Args = append(s.launch.Args, "--limits.unread_bytes", "0")
	}
	s.server, err = proc.Start(ctx, proc.Spec{
		Path: s.launch.Path, Args: s.launch.Args, Env: s.launch.Env, Core: c.serverCore, Output: log, MaxRSS: maxRSS,
	})
	if err != nil {
		return s.result, err
	}
	defer s.server.Stop()
	for _, address := range s.launch.Ready {
		if err := s.server.WaitListening(ctx, address); err != nil {
			return s.result, err
		}
	}
	if err := s.rest(ctx); err != nil {
		return s.result, err
	}
	return s.result, s.play(ctx)
}

// rest measures the memory of idle connections with one subscription each.
func (s *session) rest(ctx context.Context) error {
	before, err := s.memory(ctx)
	if err != nil {
		return err
	}
	g, err := openGroup(ctx, s.idle, s.launch.Dialect, s.result.deflate, []uint32{0})
	if err != nil {
		return err
	}
	after, err := s.memory(ctx)
	s.result.idle = after - before
	return errors.Join(err, g.close())
}

// memory returns the resident memory of the server after a pause.
func (s *session) memory(ctx context.Context) (int64, error) {
	if err := sleep(ctx, s.pause); err != nil {
		return 0, err
	}
	return s.server.RSS()
}

// play plays the minute to clients that subscribe to all its topics.
func (s *session) play(ctx context.Context) (err error) {
	plan, err := newMinute(s.peer.Form, time.Now(), s.speed)
	if err != nil {
		return err
	}
	numbers := make([]uint32, len(plan.topics))
	for i, topic := range plan.topics {
		numbers[i] = topic.Number
	}
	g, err := openGroup(ctx, s.clients, s.launch.Dialect, s.result.deflate, numbers)
	if err != nil {
		return err
	}
	defer func() {
		if failed := g.close(); failed != nil || err != nil {
			err = errors.Join(failed, err)
			return
		}
		err = checkOnce(plan, g.seen)
	}()
	publisher, err := s.launch.Connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = publisher.Close() }()
	if err := sleep(ctx, s.pause); err != nil {
		return err
	}
	// Once more: the times in the events are those of the delivery.
	if plan, err = newMinute(s.peer.Form, time.Now(), s.speed); err != nil {
		return err
	}
	before, err := s.usage(g)
	if err != nil {
		return err
	}
	if err := s.publish(g, publisher, plan); err != nil {
		return err
	}
	after, err := s.usage(g)
	if err != nil {
		return err
	}
	r := &s.result
	r.topics, r.events, r.deliveries = len(plan.topics), len(plan.events), g.delivered.Load()
	r.bytes, r.elapsed = after.received-before.received, after.at.Sub(before.at)
	r.cpu = after.server.Sub(before.server).Total()
	r.others = max(0, (after.core-before.core-r.cpu).Seconds()/r.elapsed.Seconds())
	r.rss, err = s.server.RSS()
	return err
}

// publish publishes each event at its time and waits until all are delivered.
func (s *session) publish(g *group, publisher peer.Publisher, plan *minute) error {
	begin := time.Now()
	for _, ev := range plan.events {
		if err := sleep(g.ctx, time.Until(begin.Add(ev.at))); err != nil {
			return err
		}
		published := peer.Event{Topic: &plan.topics[ev.topic], Payload: ev.payload}
		if err := publisher.Publish(g.ctx, []peer.Event{published}); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
	want := int64(len(plan.events) * s.clients)
	for end := time.Now().Add(drainLimit); g.delivered.Load() < want; {
		if time.Now().After(end) {
			return fmt.Errorf("%w: %d of %d deliveries", errLost, g.delivered.Load(), want)
		}
		if err := sleep(g.ctx, drainPoll); err != nil {
			return err
		}
	}
	return nil
}

// checkOnce checks that the first client received each event once.
func checkOnce(plan *minute, seen map[string]int) error {
	for _, ev := range plan.events {
		if n := seen[ev.id]; n != 1 {
			return fmt.Errorf("%w: the first client received event %s %d times", errLost, ev.id, n)
		}
	}
	return nil
}

// usage is the use of resources up to one moment.
type usage struct {
	at       time.Time
	server   proc.Times
	core     time.Duration // of all processes on the server's core
	received int64
}

func (s *session) usage(g *group) (usage, error) {
	u := usage{at: time.Now(), received: g.received.Load()}
	var err1, err2 error
	u.server, err1 = s.server.CPU()
	u.core, err2 = proc.CoreBusy(s.serverCore)
	return u, errors.Join(err1, err2)
}

// sleep waits for a time, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
