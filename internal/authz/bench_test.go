package authz_test

import (
	"slices"
	"testing"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/authz/directory"
	"github.com/rte-server/rte-server/internal/events"
)

// mustWarm makes a gate with a cached directory that has read the entities of organization.
func mustWarm(tb testing.TB) *authz.Gate {
	tb.Helper()
	s := organization()
	members := []events.ID{me}
	for range 499 {
		members = append(members, events.NewID())
	}
	s[ownQueue] = directory.NewRecord(events.KindQueue, home, members...)
	d := mustCached(tb, s)
	d.Lookup(
		tb.Context(), directory.Caller{User: me, Organization: home},
		[]events.ID{me, queue, ownQueue, foreignQueue, unknownEntity}, make([]directory.Entity, 5),
	)
	return mustGate(tb, d)
}

func BenchmarkAuthorize(b *testing.B) {
	for name, request := range map[string]authz.Request{
		"Allowed":       {EntityID: queue.String(), EventName: "QueueStatus"},
		"Lower":         {EntityID: queue.String(), EventName: "queuestatus"},
		"Member of 500": {EntityID: ownQueue.String(), EventName: "QueueStatus"},
		"Foreign":       {EntityID: foreignQueue.String(), EventName: "QueueStatus"},
		"Unknown":       {EntityID: unknownEntity.String(), EventName: "QueueStatus"},
	} {
		b.Run("1Item/"+name, func(b *testing.B) {
			gate := mustWarm(b)
			requests, decisions := []authz.Request{request}, make([]authz.Decision, 1)
			b.ReportAllocs()
			for b.Loop() {
				gate.AuthorizeInto(b.Context(), agentOfHome, requests, decisions)
			}
		})
	}
	b.Run("1000Items", func(b *testing.B) {
		gate := mustWarm(b)
		requests := slices.Repeat([]authz.Request{{EntityID: queue.String(), EventName: "QueueStatus"}}, 1000)
		decisions := make([]authz.Decision, len(requests))
		b.ReportAllocs()
		for b.Loop() {
			gate.AuthorizeInto(b.Context(), agentOfHome, requests, decisions)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(requests)), "ns/item")
	})
}

func BenchmarkAuthorizeParallel(b *testing.B) {
	gate := mustWarm(b)
	requests := []authz.Request{{EntityID: queue.String(), EventName: "QueueStatus"}}
	b.RunParallel(func(pb *testing.PB) {
		decisions := make([]authz.Decision, 1)
		for pb.Next() {
			gate.AuthorizeInto(b.Context(), agentOfHome, requests, decisions)
		}
	})
}
