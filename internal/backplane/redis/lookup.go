package redis

import (
	"context"
	"slices"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/redis/command"
)

// lookUpJournals looks up where the journals of new lanes end, before they are subscribed. So everything published
// after the subscription is known to come after that position, even if the connection is lost before the first event.
func (e *epoch) lookUpJournals(ctx context.Context) error {
	for {
		lanes := e.b.index.takeLookups(e.link)
		if len(lanes) == 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-e.link.lookups.work.C():
			}
			continue
		}
		wait := 20 * time.Millisecond
		found, err := e.locate(ctx, lanes)
		for ; err != nil; found, err = e.locate(ctx, lanes) {
			e.b.log.Warn("journals not found", func() []zap.Field { return []zap.Field{zap.Error(err)} })
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(wait):
				wait = min(2*wait, time.Second)
			}
		}
		e.b.index.located(e.link, lanes, found)
		if slices.ContainsFunc(found, func(p place) bool { return movedAway(p.elsewhere) }) {
			e.b.refresh()
		}
	}
}

// place is the end of a lane's journal. counted is false if it cannot be known.
type place struct {
	backplane.Position
	counted   bool
	elsewhere error // the error, if another server has the journal (see redirected); nil: this one has it
}

// locate reads the counter and the last entry of each lane. The counter comes first: if an event is added in between,
// its entry has the number. An error concerns all lanes.
func (e *epoch) locate(ctx context.Context, lanes []*lane) ([]place, error) {
	ctx, cancel := context.WithTimeout(ctx, e.b.options.CommandTimeout)
	defer cancel()
	pipe := e.server.Pipeline()
	counters := make([]*goredis.StringCmd, len(lanes))
	last := make([]*goredis.XMessageSliceCmd, len(lanes))
	for i, l := range lanes {
		counters[i] = pipe.Get(ctx, command.CounterKey(l.name))
		last[i] = pipe.XRevRangeN(ctx, command.JournalKey(l.name), "+", "-", 1)
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	found := make([]place, len(lanes))
	for i := range lanes {
		entries, err := last[i].Result()
		if err == nil && !isNil(counters[i].Err()) {
			err = counters[i].Err()
		}
		switch {
		case command.Denied(err):
			continue
		case e.redirected(err):
			found[i].elsewhere = err
			continue
		case err != nil:
			return nil, err
		}
		found[i] = place{Position: backplane.Position{N: counterOf(counters[i].Val())}, counted: true}
		for _, m := range entriesOf(entries) {
			found[i].ID = m.ID
			found[i].N = max(found[i].N, m.N)
		}
	}
	return found, nil
}
