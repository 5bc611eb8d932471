package runner

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rte-server/rte-server/bench/event"
	"github.com/rte-server/rte-server/bench/load"
	"github.com/rte-server/rte-server/bench/proc"
	"github.com/rte-server/rte-server/bench/scenarios"
)

const (
	// drainLimit bounds the wait for deliveries after the last event; drainPoll is the interval of counting them.
	drainLimit = 20 * time.Second
	drainPoll  = 20 * time.Millisecond
	// seed makes the pauses of pace "poisson" the same in every run.
	seed = 5
)

// numbers has the number of events of each topic.
type numbers []atomic.Uint32

func (n numbers) of(topic uint32) uint32 { return n[topic].Load() }

// usage is the use of resources, and the deliveries, up to one moment.
type usage struct {
	at        int64
	server    proc.Times
	load      proc.Times       // broker included
	cores     [2]time.Duration // CPU time of all processes on the server's core and on the load's core
	together  bool             // both are all cores
	published uint64
	delivered map[string]uint64
	bytes     map[string]uint64
}

func (s *session) usage(streams []*stream) (usage, error) {
	u := usage{at: s.clock.Now(), delivered: map[string]uint64{}, bytes: map[string]uint64{}}
	var err error
	if u.server, err = s.server.CPU(); err != nil {
		return u, err
	}
	if u.load, err = proc.SelfCPU(); err != nil {
		return u, err
	}
	if s.broker != nil {
		broker, err := s.broker.CPU()
		if err != nil {
			return u, err
		}
		u.load.User, u.load.System = u.load.User+broker.User, u.load.System+broker.System
	}
	u.together = s.o.ServerCore == proc.AnyCore
	if u.cores, err = coresBusy(s.o); err != nil {
		return u, err
	}
	for _, st := range streams {
		u.published += st.published.Load()
	}
	for name, g := range s.groups {
		u.delivered[name], u.bytes[name] = g.Delivered(), g.Bytes()
	}
	return u, nil
}

// measurement returns a measurement with the fields that are always known.
func (s *session) measurement(record string) Measurement {
	m := Measurement{Scenario: s.plan.Name, Record: record, Peer: s.peer.Name, Run: s.run, BaseRSS: s.baseRSS}
	if s.server != nil {
		m.RSS, _ = s.server.RSS() // a server that has ended has none
		m.Sockets, _ = proc.SocketBytes(s.port)
		if slab, err := proc.Slab(); err == nil {
			m.Slab = slab - s.baseSlab
		}
	}
	for _, g := range s.groups {
		m.Connections += g.result.Ready
		m.Subscriptions += g.result.Ready * g.topics
	}
	return m
}

type opener func(l *load.Client, ctx context.Context, g *load.Group, upTo, inFlight int) (load.Outcome, error)

func (s *session) connect(ctx context.Context, c scenarios.Connect, open opener) error {
	g := s.groups[c.Group]
	before, err := s.usage(nil)
	if err != nil {
		return err
	}
	outcome, err := open(g.client, ctx, g.Group, c.Topics, c.InFlight)
	if err != nil {
		return err
	}
	after, err := s.usage(nil)
	if err != nil {
		return err
	}
	g.topics, g.result = c.Topics, outcome
	if outcome.Ready*10 < g.Connections*9 {
		return fmt.Errorf("%w: %d of %d: %w", ErrConnections, outcome.Failed, g.Connections, outcome.Err)
	}
	if c.Record == "" {
		return nil
	}
	account, err := g.client.Account(ctx, g.Group, s.numbers.of)
	if err != nil {
		return err
	}
	m := s.measurement(c.Record)
	m.Seconds = outcome.Elapsed.Seconds()
	m.use(before, after)
	m.Failed = outcome.Failed
	if outcome.Err != nil {
		m.FirstFailure = outcome.Err.Error()
	}
	m.Groups = []Group{summary(g, account, account.Ready)}
	s.record(m)
	return nil
}

func (s *session) rest(ctx context.Context, r scenarios.Rest) error {
	before, err := s.usage(nil)
	if err != nil {
		return err
	}
	if err := wait(ctx, s.server, r.Seconds); err != nil {
		return err
	}
	after, err := s.usage(nil)
	if err != nil {
		return err
	}
	m := s.measurement(r.Record)
	m.Seconds = r.Seconds
	m.use(before, after)
	s.record(m)
	return nil
}

func (s *session) publish(ctx context.Context, p scenarios.Publish) error {
	streams, err := s.streams(ctx, p.Streams)
	if err != nil {
		return err
	}
	var work errgroup.Group
	publishing, stop := context.WithCancel(ctx)
	defer stop()
	for _, st := range streams {
		work.Go(func() error {
			defer stop() // a stream that fails ends the step
			return st.run(publishing, ctx)
		})
	}
	m, measured := s.window(publishing, p, streams)
	stop()
	if err := work.Wait(); err != nil {
		return err
	}
	if measured != nil {
		return measured
	}
	s.drain(ctx, streams)
	if p.Record == "" {
		return nil
	}
	for _, g := range s.groups {
		if g.topics == 0 {
			continue
		}
		account, err := g.client.Account(ctx, g.Group, s.numbers.of)
		if err != nil {
			return err
		}
		seen := summary(g, account, account.Latency)
		if i := slices.IndexFunc(m.Groups, func(have Group) bool { return have.Name == g.Name }); i >= 0 {
			seen.Delivered, seen.Bytes = m.Groups[i].Delivered, m.Groups[i].Bytes
			m.Groups[i] = seen
		}
	}
	for _, st := range p.Streams {
		if st.Pace == scenarios.Window {
			s.saturated[p.Record] = float64(m.Published) / m.Seconds
		}
	}
	s.record(m)
	return nil
}

// window measures while the streams publish.
func (s *session) window(ctx context.Context, p scenarios.Publish, streams []*stream) (Measurement, error) {
	if err := wait(ctx, s.server, p.WarmUp); err != nil {
		return Measurement{}, err
	}
	for _, g := range s.groups {
		if err := g.client.Measure(ctx); err != nil {
			return Measurement{}, err
		}
	}
	before, err := s.usage(streams)
	if err != nil {
		return Measurement{}, err
	}
	profiled := s.profile(ctx, p.Record, p.Seconds)
	if err := wait(ctx, s.server, p.Seconds); err != nil {
		return Measurement{}, err
	}
	after, err := s.usage(streams)
	if err != nil {
		return Measurement{}, err
	}
	for _, g := range s.groups {
		if err := g.client.Finish(ctx); err != nil {
			return Measurement{}, err
		}
	}
	if err := <-profiled; err != nil {
		return Measurement{}, err
	}
	m := s.measurement(p.Record)
	m.Seconds = time.Duration(after.at - before.at).Seconds()
	m.use(before, after)
	m.Published = after.published - before.published
	for _, st := range streams {
		m.Offered += st.rate
	}
	for _, plan := range s.plan.Groups {
		g := s.groups[plan.Name]
		if g.topics == 0 {
			continue
		}
		m.Groups = append(m.Groups, Group{
			Name:      plan.Name,
			Delivered: after.delivered[plan.Name] - before.delivered[plan.Name],
			Bytes:     after.bytes[plan.Name] - before.bytes[plan.Name],
		})
	}
	return m, nil
}

// streams prepares the streams of a step.
func (s *session) streams(ctx context.Context, plans []scenarios.Stream) ([]*stream, error) {
	var streams []*stream
	for _, plan := range plans {
		organization := s.plan.OrganizationIndex(plan.Organization)
		first := s.plan.FirstTopic(organization) + plan.First
		count := plan.Topics
		if count == 0 {
			count = s.plan.Organizations[organization].Topics - plan.First
		}
		st := &stream{
			plan: plan, rate: plan.Rate, clock: s.clock, numbers: s.numbers,
			random: rand.New(rand.NewPCG(seed, uint64(len(streams)))), //nolint:gosec // pauses, not secrets
		}
		if plan.Of != "" {
			st.rate = plan.Times * s.saturated[plan.Of]
		}
		for _, g := range s.groups {
			if g.Organization == organization && g.topics > 0 && !g.frozen {
				st.groups = append(st.groups, g.Group)
			}
		}
		for _, topic := range s.topics[first : first+count] {
			t, err := event.NewTemplate(topic, s.peer.Form, s.plan.MessageBytes)
			if err != nil {
				return nil, err
			}
			st.templates = append(st.templates, t)
			subscribers := 0
			for _, g := range s.groups {
				if g.Organization == organization && !g.frozen {
					subscribers += g.Subscribers(topic.Number, g.topics)
				}
			}
			st.subscribers = append(st.subscribers, subscribers)
		}
		var err error
		if st.publisher, err = s.launch.Connect(ctx); err != nil {
			return nil, err
		}
		streams = append(streams, st)
	}
	return streams, nil
}

// drain waits until all events have been delivered, or deliveries have stopped.
func (s *session) drain(ctx context.Context, streams []*stream) {
	deadline := time.Now().Add(drainLimit)
	for time.Now().Before(deadline) && ctx.Err() == nil {
		outstanding := 0
		for _, st := range streams {
			outstanding += st.waits.outstanding(st.expected.Load(), st.count(), s.clock.Now())
		}
		if outstanding <= 0 {
			return
		}
		time.Sleep(drainPoll)
	}
}

func (s *session) record(m Measurement) {
	s.results = append(s.results, m)
	_, _ = fmt.Fprintln(s.o.Progress, m.String())
}

// summary returns the part of a measurement of one group.
func summary(g *group, a load.Account, times load.Histogram) Group {
	return Group{
		Name:       g.Name,
		P50:        milliseconds(times.Quantile(0.5)),
		P99:        milliseconds(times.Quantile(0.99)),
		P999:       milliseconds(times.Quantile(0.999)),
		Max:        milliseconds(times.Max()),
		Open:       a.Open,
		Closed:     g.Closed(),
		Missing:    a.Missing,
		Late:       a.Late,
		Duplicates: a.Duplicates,
		Foreign:    a.Foreign,
	}
}

// wait waits for a time, or until the server or the step ends.
func wait(ctx context.Context, server *proc.Server, seconds float64) error {
	timer := time.NewTimer(time.Duration(seconds * float64(time.Second)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-server.Done():
		return server.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}
