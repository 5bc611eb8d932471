package directory_test

import (
	"context"
	"testing"

	"github.com/rte-server/rte-server/internal/authz/directory"
	"github.com/rte-server/rte-server/internal/events"
)

var (
	home, other, foreign = events.NewID(), events.NewID(), events.NewID()

	me, colleague, stranger     = events.NewID(), events.NewID(), events.NewID()
	ownQueue, queue, otherQueue = events.NewID(), events.NewID(), events.NewID()
	callList, foreignQueue      = events.NewID(), events.NewID()
	unknownEntity               = events.NewID()
)

// lookuper is any directory.
type lookuper interface {
	Lookup(ctx context.Context, caller directory.Caller, ids []events.ID, entities []directory.Entity)
}

func lookup(t *testing.T, d lookuper, caller directory.Caller, ids ...events.ID) []directory.Entity {
	t.Helper()
	entities := make([]directory.Entity, len(ids))
	d.Lookup(t.Context(), caller, ids, entities)
	return entities
}
