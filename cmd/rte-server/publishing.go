package main

import (
	"context"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/console"
	"github.com/rte-server/rte-server/internal/events"
)

// publishing is what the operator's port takes from publishers.
func publishing(c *Config, to backplane.Batches) console.Publishing {
	return console.Publishing{
		Take: func(ctx context.Context, batch [][]byte) []error {
			errs := to.PublishBatch(ctx, batch)
			for i, err := range errs {
				if reason, ok := events.ReasonOf(err); ok {
					errs[i] = console.BadRequest(reason.String())
				}
			}
			return errs
		},
		Receipts: to, Window: c.Publish.Window, Timeout: c.Publish.Timeout,
		MaxBytes: c.Publish.MaxBytes, MaxEvent: c.Events.MaxBytes,
	}
}
