package authz_test

import (
	"crypto/elliptic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

func BenchmarkVerify(b *testing.B) {
	key := mustECDSA(b, elliptic.P256())
	rsaKey := mustRSA(b)
	pemFile := mustPEM(b, &key.PublicKey, &rsaKey.PublicKey)
	for _, method := range []struct {
		jwt.SigningMethod
		key any
	}{{jwt.SigningMethodHS256, []byte(rtetest.Secret)}, {jwt.SigningMethodES256, key}, {jwt.SigningMethodRS256, rsaKey}} {
		token := mustSign(b, method.SigningMethod, method.key, fields())
		for name, cache := range map[string]int{"Cached": 0, "NotCached": -1} {
			b.Run(method.Alg()+"/"+name, func(b *testing.B) {
				o := standard()
				o.PublicKeyFile, o.CacheSize, o.Revocations = pemFile, cache, authz.NewRevocations(0, nil)
				verifier := mustVerifier(b, o)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := verifier.Verify(token); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkVerifyNew verifies tokens that were never seen before, as they come after a node was lost: one each, of one
// issuer.
func BenchmarkVerifyNew(b *testing.B) {
	tokens := make([]string, 1<<14)
	expiry := time.Now().Add(time.Hour).Unix()
	for i := range tokens {
		tokens[i] = mustHS256(b, map[string]any{
			"sub": events.NewID().String(), "org": home.String(), "role": "agent", "exp": expiry,
		})
	}
	var verifier *authz.Verifier
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%len(tokens) == 0 {
			verifier = mustVerifier(b, authz.VerifierOptions{Secret: rtetest.Secret})
		}
		if _, err := verifier.Verify(tokens[i%len(tokens)]); err != nil {
			b.Fatal(err)
		}
	}
}

// mustWarm is a gate on a cached directory that holds the entities of organization.
func mustWarm(tb testing.TB) *authz.Gate {
	tb.Helper()
	s := organization()
	members := []events.ID{me}
	for range 499 {
		members = append(members, events.NewID())
	}
	s.records[ownQueue] = authz.NewRecord(events.KindQueue, home, members...)
	d := mustCached(tb, authz.CachedDirectoryOptions{Source: s})
	d.Lookup(tb.Context(), agentOfHome, []events.ID{me, queue, ownQueue, foreignQueue, unknownEntity}, make([]authz.Entity, 5))
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
		requests := many(1000, authz.Request{EntityID: queue.String(), EventName: "QueueStatus"})
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
