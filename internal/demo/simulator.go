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

// NaturalRate is the average number of events per second at speed 1.
const NaturalRate = 6.8

// Publisher publishes the events of a Simulator.
type Publisher interface {
	// Publish publishes one event, as JSON.
	Publish(ctx context.Context, data []byte) error
}

// Options are the options of a Simulator.
type Options struct {
	// Organization is the simulated organization; nil: that of NewOrganization.
	Organization *Organization
	// Publisher publishes the events. Required.
	Publisher Publisher
	// Seed seeds all random decisions: equal seeds give equal days, except for timestamps.
	Seed uint64
	// Speed is the speed of simulated time, relative to real time; 0: 1.
	Speed float64
	// Limit ends the day after so many events; 0: no end.
	Limit int
	// Logger logs events that could not be published; nil: no log.
	Logger *zap.Logger
	// Registerer receives the metrics; nil: the metrics are not registered.
	Registerer prometheus.Registerer
}

// Simulator simulates the day of a call centre and publishes its events. Callers arrive in queues, are allocated to
// agents, talk, hang up, give up waiting and are called back. The states of users and queues follow. It makes all
// decisions on one goroutine from a seeded random source, so equal seeds give equal events.
type Simulator struct {
	options Options
	catalog *events.Catalog
	metrics *metrics

	// Owned by Run.
	chance *rand.Rand
	start  time.Time     // start of the day in real time
	now    time.Duration // current time of the day in simulated time
	agenda agenda
	outbox [][]byte // events of the current moment
	floor
}

// New returns a Simulator. It starts nothing.
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

// Run simulates the day until ctx ends or the limit is reached. Call it once. It counts events that the publisher
// refuses, and goes on.
func (s *Simulator) Run(ctx context.Context) error {
	s.chance = rand.New(rand.NewPCG(s.options.Seed, 0)) //nolint:gosec // the random numbers must be repeatable
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

// tooLate is the maximum delay that the simulator makes up for. So after a publisher blocked for a minute, the events
// of that minute do not follow all at once.
const tooLate = time.Second

// sleepUntil waits until a time of the day. It returns false if ctx ended first.
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

// clock returns the real time of a time of the day.
func (s *Simulator) clock(at time.Duration) time.Time {
	return s.start.Add(time.Duration(float64(at) / s.options.Speed)).UTC()
}

// after schedules do.
func (s *Simulator) after(d time.Duration, do func()) { s.agenda.add(s.now+d, do) }

// newID returns a GUID (RFC 9562, version 4) from the seeded random source.
func (s *Simulator) newID() events.ID {
	var id events.ID
	binary.LittleEndian.PutUint64(id[:8], s.chance.Uint64())
	binary.LittleEndian.PutUint64(id[8:], s.chance.Uint64())
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}

// likely returns true with a probability.
func (s *Simulator) likely(probability float64) bool { return s.chance.Float64() < probability }

// between returns a random duration between two durations.
func (s *Simulator) between(shortest, longest time.Duration) time.Duration {
	return shortest + time.Duration(s.chance.Int64N(int64(longest-shortest)))
}

// around returns a random duration with an exponential distribution around mean, at most five times mean.
func (s *Simulator) around(mean time.Duration) time.Duration {
	return min(time.Duration(s.chance.ExpFloat64()*float64(mean)), 5*mean)
}

// number returns a random external phone number, from a range that is reserved for fiction.
func (s *Simulator) number() string { return fmt.Sprintf("+447700900%03d", s.chance.IntN(1000)) }

// pick returns a random element.
func pick[T any](s *Simulator, from []T) T { return from[s.chance.IntN(len(from))] }
