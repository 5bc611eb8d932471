package demo

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/simulator"
)

// Publisher publishes the events of a Player.
type Publisher interface {
	// Publish publishes one event, as JSON.
	Publish(ctx context.Context, data []byte) error
}

// PlayerOptions are the options of a Player.
type PlayerOptions struct {
	// Organization and Scenario are simulated. Required.
	Organization *simulator.Organization
	Scenario     *simulator.Scenario
	// Publisher publishes the events. Required.
	Publisher Publisher
	// Seed seeds all random decisions: equal seeds give equal days, except for timestamps.
	Seed uint64
	// Rate is the average number of events per second; 0: as the scenario has it. It changes the speed of simulated time.
	Rate float64
	// Limit ends the day after so many events; 0: no end.
	Limit int
	// Logger logs events that could not be published; nil: no log.
	Logger *zap.Logger
	// Registerer receives the metrics; nil: the metrics are not registered.
	Registerer prometheus.Registerer
}

// Player plays a simulated day against the clock and publishes its events.
type Player struct {
	options PlayerOptions
	metrics *metrics

	lock      sync.Mutex // held while a moment is published, so that State has all events of a moment or none
	simulator *simulator.Simulator
}

// NewPlayer returns a Player. It starts nothing.
func NewPlayer(o PlayerOptions) (*Player, error) {
	if o.Publisher == nil {
		return nil, errors.New("demo: PlayerOptions.Publisher is required")
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	day := simulator.Options{
		Organization: o.Organization, Scenario: o.Scenario, Seed: o.Seed, Start: time.Now().Truncate(time.Millisecond),
		Speed: 1,
	}
	if o.Rate > 0 {
		natural, err := simulator.Rate(day)
		if err != nil {
			return nil, err
		}
		day.Speed = o.Rate / natural
	}
	s, err := simulator.New(day)
	if err != nil {
		return nil, err
	}
	return &Player{options: o, metrics: newMetrics(o.Registerer), simulator: s}, nil
}

// State returns the state of the call centre. It has all events that were published so far.
func (p *Player) State() *simulator.State {
	p.lock.Lock()
	defer p.lock.Unlock()
	return p.simulator.State()
}

// Run plays the day until ctx ends or the limit is reached. Call it once. It goes on after events that the publisher
// refuses, and counts them.
func (p *Player) Run(ctx context.Context) error {
	published := 0
	reporter := problemReporter{logger: p.options.Logger}
	for p.sleepUntil(ctx, p.simulator.Next()) {
		p.lock.Lock()
		p.simulator.Advance(func(data []byte) {
			if ctx.Err() != nil || p.options.Limit > 0 && published == p.options.Limit {
				return
			}
			published++
			// A publisher may keep the data.
			switch err := p.options.Publisher.Publish(ctx, bytes.Clone(data)); {
			case err == nil:
				p.metrics.published.Inc()
			case ctx.Err() == nil:
				p.metrics.failed.Inc()
				reporter.failed(err)
			}
		})
		p.lock.Unlock()
		if published == p.options.Limit && published > 0 {
			return nil
		}
	}
	return nil
}

// tooLate is the maximum delay that the player makes up for. If a publisher blocked for a minute, the events of that
// minute do not follow all at once.
const tooLate = time.Second

// sleepUntil waits until a moment of the day. It returns false if ctx ended first.
func (p *Player) sleepUntil(ctx context.Context, at time.Time) bool {
	wait := time.Until(at)
	if wait < -tooLate {
		p.lock.Lock()
		p.simulator.Delay(-wait)
		p.lock.Unlock()
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
