package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

// PublishBatch does for many events what Publish does, in one round trip for each server if nothing is wrong.
func (b *Backplane) PublishBatch(ctx context.Context, batch [][]byte) []error {
	errs := make([]error, len(batch))
	all := make([]events.Event, len(batch))
	waiting := make([]int, 0, len(batch)) // indexes of events that are not published yet, in their order
	for i, data := range batch {
		ev, err := b.options.Catalog.Decode(data)
		if err != nil {
			errs[i] = fmt.Errorf("publish: %w", err)
			continue
		}
		all[i] = ev
		waiting = append(waiting, i)
	}
	for len(waiting) > 0 {
		left, cause := b.pipeline(ctx, all, waiting, errs)
		if len(left) == 0 {
			break
		}
		// Publish loads what is missing and waits for what is away; then the others follow. Where there are no functions
		// it has to do for all.
		count := 1
		if noFunctions(cause) {
			count = len(left)
		}
		waiting = left[count:]
		for k, i := range left[:count] {
			errs[i] = b.publishAgain(ctx, &all[i], cause)
			if errors.Is(errs[i], backplane.ErrUnavailable) {
				for _, rest := range left[k+1:] {
					errs[rest] = errs[i]
				}
				return errs
			}
		}
	}
	if slices.ContainsFunc(errs, func(err error) bool { return err != nil }) {
		return errs
	}
	return nil
}

// publishAgain publishes an event whose first try ended with cause, unless it got through then perhaps, and nodes
// could not tell that it comes twice.
func (b *Backplane) publishAgain(ctx context.Context, ev *events.Event, cause error) error {
	if ev.ID == (events.ID{}) && !noFunction(cause) && !noFunctions(cause) {
		return fmt.Errorf("publish: %w: %w", backplane.ErrUnavailable, cause)
	}
	return b.Publish(ctx, ev.Data)
}

// pipeline publishes the waiting ones of all events. It answers which of them are left, for what cause first; what
// Redis refuses is not left but has an error.
func (b *Backplane) pipeline(ctx context.Context, all []events.Event, waiting []int, errs []error) (left []int, cause error) {
	pipes := map[goredis.UniversalClient]goredis.Pipeliner{}
	results := make([]*goredis.Cmd, len(waiting))
	for k, i := range waiting {
		p := b.publicationOf(&all[i])
		pipe, ok := pipes[p.client]
		if !ok {
			pipe = p.client.Pipeline()
			pipes[p.client] = pipe
		}
		results[k] = p.on(ctx, pipe)
	}
	for _, pipe := range pipes {
		_, _ = pipe.Exec(ctx) // each command has the error that it ended with
	}
	for k, i := range waiting {
		switch err := results[k].Err(); {
		case err == nil:
		case refused(err):
			errs[i] = fmt.Errorf("publish: %w: %w", backplane.ErrRefused, err)
		default:
			if left = append(left, i); cause == nil {
				cause = err
			}
		}
	}
	return left, cause
}
