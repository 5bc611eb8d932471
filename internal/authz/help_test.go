package authz_test

import (
	"context"
	"testing"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/authz/directory"
	"github.com/rte-server/rte-server/internal/events"
)

// source is a directory.Source in a map.
type source map[events.ID]*directory.Record

func (s source) Records(_ context.Context, ids []events.ID, records []*directory.Record) error {
	for i, id := range ids {
		records[i] = s[id]
	}
	return nil
}

func organization() source {
	return source{
		me:           directory.NewRecord(events.KindUser, home),
		queue:        directory.NewRecord(events.KindQueue, home, colleague, me),
		callList:     directory.NewRecord(events.KindCallList, home, colleague),
		otherQueue:   directory.NewRecord(events.KindQueue, other, me),
		foreignQueue: directory.NewRecord(events.KindQueue, foreign, me),
	}
}

func mustCached(tb testing.TB, s source) *directory.Cached {
	tb.Helper()
	d, err := directory.NewCached(directory.CachedOptions{Source: s})
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

var agentOfHome = &authz.Claims{User: me, Organization: home, Role: authz.RoleAgent}
