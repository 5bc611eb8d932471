package token_test

import (
	"crypto/elliptic"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// mustHeader makes a token with good claims and this header, signed by rtetest.MustSign.
func mustHeader(tb testing.TB, key any, header string) string {
	tb.Helper()
	return rtetest.MustSign(tb, key, header, mustJSON(fields()))
}

// uncached returns the options of a verifier that verifies every token.
func uncached() token.VerifierOptions {
	o := standard()
	o.CacheSize = -1
	return o
}

func TestKnownHeaders_onlyOfSignedTokens(t *testing.T) {
	stranger := mustECDSA(t, elliptic.P256())
	o := uncached()
	o.Keys.PublicKeyFile = mustPEM(t, &mustECDSA(t, elliptic.P256()).PublicKey)
	verifier := mustVerifier(t, o)
	secret := []byte(rtetest.Secret)
	for range 2 {
		verifies(t, verifier, mustHeader(t, []byte("x"), `{"alg":"HS256"}`), token.ErrSignature)
		verifies(t, verifier, mustHeader(t, nil, `{"alg":"HS256"}`), token.ErrSignature)
		verifies(t, verifier, mustHeader(t, stranger, `{"alg":"ES256"}`), token.ErrSignature)
		verifies(t, verifier, mustHeader(t, secret, `{"alg":"none"}`), token.ErrAlgorithm)
		verifies(t, verifier, mustHeader(t, secret, `{"alg":"ES384"}`), token.ErrKey)
		verifies(t, verifier, mustHeader(t, secret, `{"alg":"HS256","crit":["exp"]}`), token.ErrUnacceptable)
	}
	if known := verifier.KnownHeaders(); known != 0 {
		t.Errorf("%d headers are cached", known)
	}
	for range 2 {
		verifies(t, verifier, mustHeader(t, secret, `{"alg":"HS256"}`), nil)
		// A known header must not replace the check of the signature, or match another header.
		verifies(t, verifier, mustHeader(t, []byte("x"), `{"alg":"HS256"}`), token.ErrSignature)
		verifies(t, verifier, mustHeader(t, secret, `{"alg":"HS256","typ":"x"}`), token.ErrUnacceptable)
	}
	if known := verifier.KnownHeaders(); known != 1 {
		t.Errorf("%d headers are cached, want 1", known)
	}
}

func TestKnownHeaders_areBounded(t *testing.T) {
	verifier := mustVerifier(t, uncached())
	secret := []byte(rtetest.Secret)
	verifies(t, verifier, mustHeader(t, secret, `{"alg":"HS256","kid":"`+strings.Repeat("x", 2000)+`"}`), nil)
	if known := verifier.KnownHeaders(); known != 0 {
		t.Errorf("a long header is cached")
	}
	for n := range 50 {
		header := fmt.Sprintf(`{"alg":"HS256","kid":"%d"}`, n)
		verifies(t, verifier, mustHeader(t, secret, header), nil)
		verifies(t, verifier, mustHeader(t, secret, header), nil)
		if known := verifier.KnownHeaders(); known != min(n+1, 16) {
			t.Fatalf("%d headers are cached after %d", known, n+1)
		}
	}
}

func TestKnownHeaders_concurrent(t *testing.T) {
	verifier := mustVerifier(t, uncached())
	tokens := make([]string, 20)
	for n := range tokens {
		tokens[n] = mustHeader(t, []byte(rtetest.Secret), fmt.Sprintf(`{"alg":"HS256","kid":"%d"}`, n))
	}
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for n := range 200 {
				verifies(t, verifier, tokens[n%len(tokens)], nil)
			}
		})
	}
	clients.Wait()
	if known := verifier.KnownHeaders(); known < 1 || known > 16 {
		t.Errorf("%d headers are cached", known)
	}
}

// TestVerify_allocations counts the allocations for a new token with a known header. The JWT library makes eight of
// them, seven for the HMAC; with its parser there were 55.
func TestVerify_allocations(t *testing.T) {
	verifier := mustVerifier(t, uncached())
	compact := mustHS256(t, fields())
	verifies(t, verifier, compact, nil)
	if allocs := testing.AllocsPerRun(1000, func() {
		if _, err := verifier.Verify(compact); err != nil {
			t.Fatal(err)
		}
	}); allocs > 22 && !rtetest.RaceEnabled {
		t.Errorf("%v allocations", allocs)
	}
}
