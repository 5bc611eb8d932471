package token_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/rtetest"
)

func TestCache_oneVerificationPerToken(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	o := standard()
	o.Registerer = registry
	verifier := mustVerifier(t, o)
	compact := mustHS256(t, fields())
	first, err := verifier.Verify(compact)
	if err != nil {
		t.Fatal(err)
	}
	for range 99 {
		if claims, err := verifier.Verify(compact); err != nil || claims != first {
			t.Fatal(claims, err)
		}
	}
	if hits := rtetest.MustReadMetric(t, registry, "rte_authz_token_cache_lookups_total/hit"); hits != 99 {
		t.Errorf("%v of 100 from the cache", hits)
	}
	if ok := rtetest.MustReadMetric(t, registry, "rte_authz_tokens_total/ok"); ok != 100 {
		t.Errorf("%v of 100 counted", ok)
	}
}

func TestCache_entryEndsWithItsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := standard()
		o.Require.Leeway = 2 * time.Second
		verifier := mustVerifier(t, o)
		compact := mustHS256(t, with("exp", time.Now().Unix()+10))
		verifies(t, verifier, compact, nil)
		time.Sleep(12*time.Second - 1)
		verifies(t, verifier, compact, nil)
		time.Sleep(time.Nanosecond)
		verifies(t, verifier, compact, token.ErrExpired)
	})
}

func TestCache_comparesWholeTokens(t *testing.T) {
	verifier := mustVerifier(t, standard())
	compact := mustHS256(t, fields())
	verifies(t, verifier, compact, nil)
	parts := strings.Split(compact, ".")
	verifies(t, verifier, parts[0]+"."+parts[1]+".", token.ErrSignature)
	verifies(t, verifier, rtetest.MustSign(t, nil, `{"alg":"none"}`, mustJSON(fields())), token.ErrAlgorithm)
	verifies(t, verifier, compact, nil)
}

func TestCache_isBounded(t *testing.T) {
	const limit = 20_000
	registry := prometheus.NewPedanticRegistry()
	o := standard()
	o.CacheSize, o.Registerer = limit, registry
	verifier := mustVerifier(t, o)
	for n := range 200 {
		verifies(t, verifier, mustHS256(t, with("jti", fmt.Sprint(n))), nil)
		if size := rtetest.MustReadMetric(t, registry, "rte_authz_token_cache_bytes"); size > limit || size == 0 {
			t.Fatalf("%v bytes after %d tokens, the limit is %d", size, n+1, limit)
		}
	}
	o.CacheSize, o.Registerer = 10, nil // no token fits
	verifies(t, mustVerifier(t, o), mustHS256(t, fields()), nil)
	o.CacheSize = -1
	verifies(t, mustVerifier(t, o), mustHS256(t, fields()), nil)
}

func TestCache_concurrent(t *testing.T) {
	o := standard()
	o.CacheSize = 5000
	verifier := mustVerifier(t, o)
	tokens := make([]string, 20)
	for n := range tokens {
		tokens[n] = mustHS256(t, with("jti", fmt.Sprint(n)))
	}
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for n := range 200 {
				want := fmt.Sprint(n % len(tokens))
				if claims, err := verifier.Verify(tokens[n%len(tokens)]); err != nil || claims.TokenID != want {
					t.Errorf("got %v, %v for token %s", claims, err, want)
				}
			}
		})
	}
	clients.Wait()
}

func TestVerify_revoked(t *testing.T) {
	revocations := token.NewRevocations(0, nil)
	o := standard()
	o.Revocations = revocations
	verifier := mustVerifier(t, o)
	compact, another := mustHS256(t, fields()), mustHS256(t, with("jti", "another"))
	verifies(t, verifier, compact, nil)
	if _, err := revocations.Add(token.Revocation{TokenID: "one", Until: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	verifies(t, verifier, compact, token.ErrRevoked) // although it was verified before
	verifies(t, verifier, another, nil)
	if _, err := revocations.Add(token.Revocation{User: me, Until: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	verifies(t, verifier, another, token.ErrRevoked)
	if errors.Is(token.ErrRevoked, token.ErrExpired) {
		t.Error("sentinels are one")
	}
}
