package demo

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/events"
)

// NaturalRate is how many events per second a Simulator publishes on average at speed 1.
const NaturalRate = 6.8

// Publisher takes the events of a Simulator.
type Publisher interface {
	// Publish sends one event, as published JSON.
	Publish(ctx context.Context, data []byte) error
}

// Options are what a Simulator needs.
type Options struct {
	// Organization is whose day is lived; nil: that of NewOrganization.
	Organization *Organization
	// Publisher takes the events; required.
	Publisher Publisher
	// Seed decides everything that happens: equal seeds give equal days, but for their time stamps.
	Seed uint64
	// Speed is how much faster than in a real call centre time goes by; 0: 1.
	Speed float64
	// Limit ends the day after that many events; 0: it does not end.
	Limit int
	// Logger is told of events that could not be published; nil: nobody is.
	Logger *zap.Logger
	// Registerer receives the metrics; nil: there are none.
	Registerer prometheus.Registerer
}

// Simulator lives the day of a call centre and publishes what happens: callers arrive in queues, are allocated to agents,
// talk, hang up, give up waiting and are called back; the states of users and queues follow. It decides what happens
// next from a seeded source of chance on one goroutine, so the same seed tells the same story.
type Simulator struct {
	options Options
	catalog *events.Catalog
	metrics *metrics

	// Owned by Run.
	chance *rand.Rand
	start  time.Time     // when the day began
	now    time.Duration // how old the day is, in its own time
	agenda agenda
	outbox [][]byte // events of the current moment
	floor
}

// New makes a Simulator whose day has not begun.
func New(o Options) *Simulator {
	if o.Organization == nil {
		o.Organization = NewOrganization()
	}
	if o.Speed == 0 {
		o.Speed = 1
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	return &Simulator{options: o, catalog: events.Builtin(), metrics: newMetrics(o.Registerer)}
}

// Run lives the day until ctx ends or the limit is reached. It may be called once. Events that the publisher refuses
// are counted and lost; the day goes on.
func (s *Simulator) Run(ctx context.Context) error {
	s.chance = rand.New(rand.NewPCG(s.options.Seed, 0)) //nolint:gosec // chance that can be repeated is the point
	s.start = time.Now()
	s.floor = newFloor(s.options.Organization)
	s.open()

	published := 0
	reporter := problemReporter{logger: s.options.Logger}
	for {
		s.allocate()
		s.reportStatus()
		for _, data := range s.outbox {
			err := s.options.Publisher.Publish(ctx, data)
			switch {
			case err == nil:
				s.metrics.published.Inc()
			case ctx.Err() == nil:
				s.metrics.failed.Inc()
				reporter.failed(err)
			}
			if published++; published == s.options.Limit {
				return nil
			}
		}
		clear(s.outbox)
		s.outbox = s.outbox[:0]

		next := s.agenda.next()
		if !s.sleepUntil(ctx, next.at) {
			return nil
		}
		s.now = next.at
		next.do()
	}
}

// tooLate is how far the day may fall behind before it gives up catching up, so that a publisher that was stuck for a
// minute is not followed by the events of that minute at once.
const tooLate = time.Second

// sleepUntil waits for a moment of the day. It is false if ctx ended first.
func (s *Simulator) sleepUntil(ctx context.Context, at time.Duration) bool {
	wait := time.Until(s.clock(at))
	if wait < -tooLate {
		s.start = s.start.Add(-wait)
	}
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// clock is what a real clock shows at a moment of the day.
func (s *Simulator) clock(at time.Duration) time.Time {
	return s.start.Add(time.Duration(float64(at) / s.options.Speed)).UTC()
}

// after puts something on the agenda.
func (s *Simulator) after(d time.Duration, do func()) { s.agenda.add(s.now+d, do) }

// newID is a GUID (RFC 9562, version 4) that the seed decides.
func (s *Simulator) newID() events.ID {
	var id events.ID
	binary.LittleEndian.PutUint64(id[:8], s.chance.Uint64())
	binary.LittleEndian.PutUint64(id[8:], s.chance.Uint64())
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}

// likely is true with the given probability.
func (s *Simulator) likely(probability float64) bool { return s.chance.Float64() < probability }

// between is a duration anywhere between two.
func (s *Simulator) between(shortest, longest time.Duration) time.Duration {
	return shortest + time.Duration(s.chance.Int64N(int64(longest-shortest)))
}

// around is a duration as things that happen by themselves have it: often short, sometimes long, mean on average and
// at most five times that.
func (s *Simulator) around(mean time.Duration) time.Duration {
	return min(time.Duration(s.chance.ExpFloat64()*float64(mean)), 5*mean)
}

// number is the phone number of somebody outside, from a range that is kept free for stories.
func (s *Simulator) number() string { return fmt.Sprintf("+447700900%03d", s.chance.IntN(1000)) }

// pick is one of several.
func pick[T any](s *Simulator, from []T) T { return from[s.chance.IntN(len(from))] }
