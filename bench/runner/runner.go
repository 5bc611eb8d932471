package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rte-server/rte-server/bench/event"
	"github.com/rte-server/rte-server/bench/load"
	"github.com/rte-server/rte-server/bench/peer"
	"github.com/rte-server/rte-server/bench/proc"
	"github.com/rte-server/rte-server/bench/scenarios"
)

// ErrConnections is the error of a step in which too many connections failed.
var ErrConnections = errors.New("connections failed")

const (
	// spareFiles is the number of open files that are not connections, in the server and in the bench.
	spareFiles = 300
	// startPause is the pause between the start of a server and the measurement of its memory.
	startPause = 500 * time.Millisecond
)

// Options configures Play.
type Options struct {
	Binaries   string // folder
	ServerCore int
	LoadCore   int
	MaxRSS     int64         // bytes, of a server
	OpenFiles  uint64        // limit of a server
	Quiet      time.Duration // longest wait for idle cores before each start
	Profiles   string        // folder for CPU profiles; empty: none
	Progress   io.Writer
	ServerLog  io.Writer
}

// session is one scenario with one peer.
type session struct {
	o         Options
	plan      scenarios.Scenario
	peer      peer.Peer
	run       int
	clock     load.Clock
	topics    []event.Topic
	groups    map[string]*group
	numbers   numbers
	server    *proc.Server
	broker    *proc.Server // nil: none
	launch    peer.Launch
	port      uint16 // for clients
	baseRSS   int64
	baseSlab  int64
	saturated map[string]float64 // events per second, by record
	results   []Measurement
}

// group is a group of connections and its progress. It has its own client, and so its own thread: deliveries to one
// group must not wait until those of another are read.
type group struct {
	*load.Group
	client *load.Client
	topics int // of each connection
	frozen bool
	result load.Outcome
}

// Play plays a scenario with a peer and returns the measurements. A failure ends it and is in the last measurement.
func Play(ctx context.Context, o Options, plan scenarios.Scenario, p peer.Peer, run int) []Measurement {
	quiet := awaitQuiet(ctx, o)
	ctx, cancel := context.WithTimeout(ctx, time.Duration(plan.TimeoutSeconds)*time.Second)
	defer cancel()
	s := &session{o: o, plan: plan, peer: p, run: run, clock: load.NewClock(), saturated: map[string]float64{}}
	if err := errors.Join(quiet, s.play(ctx)); err != nil {
		m := s.measurement("error")
		m.Error = err.Error()
		s.record(m)
	}
	return s.results
}

func (s *session) play(ctx context.Context) error {
	s.build()
	dir, err := os.MkdirTemp("", "rte-bench-")
	if err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ports, err := proc.FreePorts(3)
	if err != nil {
		return err
	}
	s.launch, err = s.peer.Prepare(peer.Setup{
		Binaries: s.o.Binaries, Dir: dir, Client: ports[0], Operator: ports[1], Broker: ports[2],
		Topics: s.topics, Auth: s.plan.Auth,
	})
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	if b := s.launch.Broker; b != nil {
		s.broker, err = proc.Start(ctx, proc.Spec{Path: b.Path, Args: b.Args, Core: s.o.LoadCore, Output: s.o.ServerLog})
		if err != nil {
			return err
		}
		defer s.broker.Stop()
		if err := s.broker.WaitListening(ctx, b.Ready); err != nil {
			return err
		}
	}
	s.server, err = proc.Start(ctx, proc.Spec{
		Path: s.launch.Path, Args: s.launch.Args, Env: s.launch.Env, Core: s.o.ServerCore,
		Output: s.o.ServerLog, MaxRSS: s.o.MaxRSS,
	})
	if err != nil {
		return err
	}
	defer s.server.Stop()
	for _, address := range s.launch.Ready {
		if err := s.server.WaitListening(ctx, address); err != nil {
			return err
		}
	}
	time.Sleep(startPause)
	s.port = ports[0].Port()
	if s.baseRSS, err = s.server.RSS(); err != nil {
		return err
	}
	if s.baseSlab, err = proc.Slab(); err != nil {
		return err
	}
	clients, clientsCtx := errgroup.WithContext(context.WithoutCancel(ctx))
	clientsCtx, stopClients := context.WithCancel(clientsCtx)
	for _, g := range s.groups {
		g.client, err = load.New(load.Options{Server: ports[0], Dialect: s.launch.Dialect, Clock: s.clock})
		if err != nil {
			break
		}
		clients.Go(func() error { return g.client.Run(clientsCtx) })
	}
	if err == nil {
		err = s.steps(ctx)
	}
	stopClients()
	return errors.Join(err, clients.Wait())
}

func (s *session) steps(ctx context.Context) error {
	for i, step := range s.plan.Steps {
		if err := s.step(ctx, step); err != nil {
			if died := s.server.Err(); died != nil {
				err = died
			}
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return nil
}

func (s *session) step(ctx context.Context, step scenarios.Step) error {
	switch {
	case step.Connect != nil:
		return s.connect(ctx, *step.Connect, (*load.Client).Connect)
	case step.Subscribe != nil:
		return s.connect(ctx, scenarios.Connect(*step.Subscribe), (*load.Client).Subscribe)
	case step.Freeze != nil:
		g := s.groups[step.Freeze.Group]
		g.frozen = true
		if pace := step.Freeze.BytesPerSecond; pace > 0 {
			return g.client.Slow(ctx, g.Group, pace)
		}
		return g.client.Freeze(ctx, g.Group)
	case step.Rest != nil:
		return s.rest(ctx, *step.Rest)
	default:
		return s.publish(ctx, *step.Publish)
	}
}

// build makes the topics and groups of the plan. It shrinks all groups if there are more connections than open files.
func (s *session) build() {
	for i, organization := range s.plan.Organizations {
		for range organization.Topics {
			number := uint32(len(s.topics)) //nolint:gosec // scenarios are small
			s.topics = append(s.topics, event.NewTopic(i, number, s.plan.Event))
		}
	}
	s.numbers = make(numbers, len(s.topics))
	scale := 1.0
	if most := float64(s.o.OpenFiles) - spareFiles; float64(s.plan.Connections()) > most {
		scale = most / float64(s.plan.Connections())
	}
	s.groups = map[string]*group{}
	for _, g := range s.plan.Groups {
		organization := s.plan.OrganizationIndex(g.Organization)
		s.groups[g.Name] = &group{Group: &load.Group{
			Name:         g.Name,
			Organization: organization,
			Connections:  int(float64(g.Connections) * scale),
			First:        uint32(s.plan.FirstTopic(organization) + g.First), //nolint:gosec // scenarios are small
			Span:         g.Span,
			Count:        g.PerConnection,
			Stride:       g.Stride,
			SmallBuffers: g.SmallBuffers,
		}}
	}
}
