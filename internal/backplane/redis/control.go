package redis

import (
	"context"
	"fmt"

	"github.com/rte-server/rte-server/internal/backplane"
)

// The channels on which nodes and back ends tell all nodes something that is no event, see docs/authorization.md.
const (
	RevokeChannel     = "rte:c:revoke"
	DirectoryChannel  = "rte:c:directory"
	DisconnectChannel = "rte:c:disconnect"
	// RefreshChannel is for nodes alone, which authenticate what they say there.
	RefreshChannel = "rte:c:refresh"
)

// Listen has a channel subscribed for good that is no lane. message takes what comes on it, one at a time, and must not
// keep it or wait. missed is called each time that something may have been missed: when the channel is subscribed, the
// first time and after each interruption, and when the node has fallen behind. It must not wait either.
func (b *Backplane) Listen(channel string, message func(payload []byte), missed func()) {
	b.table.serve(channel, message, missed)
}

// Tell sends a message on a channel that nodes listen to. It arrives at the nodes that are connected now.
func (b *Backplane) Tell(ctx context.Context, channel string, message []byte) error {
	if err := b.send(ctx, b.commands(channel), channel, message); err != nil {
		return fmt.Errorf("%w: %w", backplane.ErrUnavailable, err)
	}
	return nil
}
