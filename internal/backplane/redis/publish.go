package redis

import (
	"context"
	"fmt"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/backplane"
)

// Publish sends an event.
func (b *Backplane) Publish(ctx context.Context, data []byte) error {
	ev, err := b.options.Catalog.Decode(data)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	lane := b.options.Layout.Lane(ev.Organization, ev.Entity)
	if err := b.send(ctx, b.commands(lane), lane, data); err != nil {
		kind := backplane.ErrUnavailable
		if refused(err) {
			kind = backplane.ErrRefused
		}
		return fmt.Errorf("publish: %w: %w", kind, err)
	}
	return nil
}

// send publishes a message on a Redis channel.
func (b *Backplane) send(ctx context.Context, client goredis.UniversalClient, channel string, payload any) error {
	if b.options.Cluster {
		return client.SPublish(ctx, channel, payload).Err()
	}
	return client.Publish(ctx, channel, payload).Err()
}
