package redis

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/backplane/redis/command"
)

// maintainInterval is how often a node checks the function library of a server, and whether the server accepts writes.
const maintainInterval = 2 * time.Second

// maintain keeps the function library on the server of the epoch, which may lose it at any time (FUNCTION FLUSH), and
// watches whether the server accepts writes.
func (e *epoch) maintain(ctx context.Context) error {
	ticker := time.NewTicker(maintainInterval)
	defer ticker.Stop()
	for provide := true; ; {
		provide = provide && e.provideFunctions(ctx)
		e.checkWrites(ctx)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// provideFunctions loads the library if the server lacks it. It reports whether to go on: a node without the
// permission logs once per connection.
func (e *epoch) provideFunctions(ctx context.Context) bool {
	limited, cancel := context.WithTimeout(ctx, e.b.options.CommandTimeout)
	defer cancel()
	err := command.ProvideFunctions(limited, e.server.Client)
	if err != nil && ctx.Err() == nil {
		e.b.log.Warn("functions not loaded", func() []zap.Field { return []zap.Field{zap.Error(err)} })
	}
	return !command.Denied(err)
}

// checkWrites records whether the server accepts writes.
func (e *epoch) checkWrites(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, e.b.options.CommandTimeout)
	defer cancel()
	err := command.CheckWrites(ctx, e.server.Client)
	if err != nil && !errors.Is(err, command.ErrWritesRefused) {
		return // the other loops of the epoch detect a server that is away
	}
	if err != nil {
		e.b.log.Warn("redis refuses writes", func() []zap.Field {
			return []zap.Field{zap.String("server", e.link.name), zap.Error(err)}
		})
	}
	e.link.setWrites(err)
}
