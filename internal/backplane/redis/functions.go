package redis

import (
	"context"
	"errors"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

// LoadFunctions loads the function library into every server that carries lanes, whatever version they have. The
// options are those of New; their Catalog, Sink and Registerer are not used.
func LoadFunctions(ctx context.Context, o Options) error {
	o.Catalog, o.Sink = events.Builtin(), noSink{}
	o, err := o.withDefaults()
	if err != nil {
		return err
	}
	c := o.newCommands()
	return errors.Join(c.LoadFunctions(ctx), c.Close())
}

// noSink is the sink of options that are not for a Backplane.
type noSink struct{ backplane.Sink }
