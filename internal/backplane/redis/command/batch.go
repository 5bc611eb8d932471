package command

import (
	"context"
	"errors"
	"fmt"
	"slices"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

// PublishBatch implements backplane.Publisher. It needs one round trip to each server if nothing is wrong.
func (c *Client) PublishBatch(ctx context.Context, batch [][]byte) []error {
	errs := make([]error, len(batch))
	all := make([]events.Event, len(batch))
	waiting := make([]int, 0, len(batch)) // indexes of the events that are not published yet, in order
	for i, data := range batch {
		ev, err := c.options.Catalog.Decode(data)
		if err != nil {
			errs[i] = fmt.Errorf("publish: %w", err)
			continue
		}
		all[i] = ev
		waiting = append(waiting, i)
	}
	for len(waiting) > 0 {
		left, cause := c.pipeline(ctx, all, waiting, errs)
		if len(left) == 0 {
			break
		}
		// Publish loads a missing library and waits for an absent server; then the others follow. On servers without
		// functions, Publish must take all events.
		count := 1
		if Unsupported(cause) {
			count = len(left)
		}
		waiting = left[count:]
		for k, i := range left[:count] {
			errs[i] = c.publishAgain(ctx, &all[i], cause)
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

// publishAgain publishes an event whose first try failed with cause. It does not if the event may have got through and
// nodes would not recognize it.
func (c *Client) publishAgain(ctx context.Context, ev *events.Event, cause error) error {
	if ev.ID == (events.ID{}) && !noFunction(cause) && !Unsupported(cause) {
		return fmt.Errorf("publish: %w: %w", backplane.ErrUnavailable, cause)
	}
	return c.Publish(ctx, ev.Data)
}

// pipeline publishes the waiting events. It returns those that are left and the cause of the first failure. Events that
// Redis refuses are not left: they get their error.
func (c *Client) pipeline(
	ctx context.Context, all []events.Event, waiting []int, errs []error,
) (left []int, cause error) {
	pipes := map[goredis.UniversalClient]goredis.Pipeliner{}
	results := make([]*goredis.Cmd, len(waiting))
	for k, i := range waiting {
		p := c.publicationOf(&all[i])
		pipe, ok := pipes[p.client]
		if !ok {
			pipe = p.client.Pipeline()
			pipes[p.client] = pipe
		}
		results[k] = p.on(ctx, pipe)
	}
	for _, pipe := range pipes {
		_, _ = pipe.Exec(ctx) // each command has its own error
	}
	for k, i := range waiting {
		switch err := results[k].Err(); {
		case err == nil:
		case Refused(err):
			errs[i] = c.refusal(&all[i], err)
		default:
			if left = append(left, i); cause == nil {
				cause = err
			}
		}
	}
	return left, cause
}
