package redis

import (
	"context"
	"fmt"

	"github.com/rte-server/rte-server/internal/backplane"
)

// Shared implements backplane.Control.
func (b *Backplane) Shared() bool { return true }

// Subscribe implements backplane.Control.
func (b *Backplane) Subscribe(channel string, message func(payload []byte), missed func()) {
	b.table.serve(channel, message, missed)
}

// Send implements backplane.Control.
func (b *Backplane) Send(ctx context.Context, channel string, message []byte) error {
	if err := b.send(ctx, b.commands(channel), channel, message); err != nil {
		return fmt.Errorf("%w: %w", backplane.ErrUnavailable, err)
	}
	return nil
}
