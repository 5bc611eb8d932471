package directory

import (
	"context"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/rte-server/rte-server/internal/events"
)

// Times of the probes of a source.
const (
	probeInterval = 15 * time.Second // after the last answer
	probeRetry    = time.Second      // while the source does not answer
)

// Run probes the source until ctx ends, so that Problem is right also while no client subscribes. A probe reads the
// entity 00000000-0000-0000-0000-000000000000, which does not exist. Run returns nil.
func (d *Cached) Run(ctx context.Context) error {
	for {
		pause := probeRetry
		if d.quiet() < probeInterval || d.probe(ctx) {
			pause = max(probeInterval-d.quiet(), probeRetry)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// quiet returns the time since the last answer of the source.
func (d *Cached) quiet() time.Duration {
	answered := d.answered.Load()
	if answered == 0 {
		return probeInterval
	}
	return time.Since(d.made) - time.Duration(answered)
}

// probe reads an entity that does not exist and reports whether the source answered.
func (d *Cached) probe(ctx context.Context) (ok bool) {
	ctx, cancel := context.WithTimeout(ctx, d.options.Timeout)
	defer cancel()
	return d.read(ctx, slotOwner{}, []events.ID{{}}, make([]*Record, 1))
}

// Problem describes why entities that are not in the cache are unavailable; empty while the source answers.
func (d *Cached) Problem() string {
	switch {
	case d.answered.Load() == 0:
		return "has not answered yet"
	case d.breaker.State() != gobreaker.StateClosed:
		return "does not answer"
	default:
		return ""
	}
}
