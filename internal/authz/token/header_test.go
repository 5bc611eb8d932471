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

// mustHeader is a token with good claims and the header as it stands, signed as rtetest.MustSign does.
func mustHeader(tb testing.TB, key any, header string) string {
	tb.Helper()
	return rtetest.MustSign(tb, key, header, mustJSON(fields()))
}

// uncached are options of a verifier that reads every token anew.
func uncached() token.VerifierOptions {
	o := standard()
	o.CacheSize = -1
	return o
}

func TestKnownHeaders_OnlyOfTokensThatAreSigned(t *testing.T) {
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
		t.Errorf("%d headers are remembered", known)
	}
	for range 2 {
		verifies(t, verifier, mustHeader(t, secret, `{"alg":"HS256"}`), nil)
		// The header is known now, which says nothing of the signature, and nothing of the next header.
		verifies(t, verifier, mustHeader(t, []byte("x"), `{"alg":"HS256"}`), token.ErrSignature)
		verifies(t, verifier, mustHeader(t, secret, `{"alg":"HS256","typ":"x"}`), token.ErrUnacceptable)
	}
	if known := verifier.KnownHeaders(); known != 1 {
		t.Errorf("%d headers are remembered, want 1", known)
	}
}

func TestKnownHeaders_AreBounded(t *testing.T) {
	verifier := mustVerifier(t, uncached())
	secret := []byte(rtetest.Secret)
	verifies(t, verifier, mustHeader(t, secret, `{"alg":"HS256","kid":"`+strings.Repeat("x", 2000)+`"}`), nil)
	if known := verifier.KnownHeaders(); known != 0 {
		t.Errorf("a long header is remembered")
	}
	for n := range 50 {
		header := fmt.Sprintf(`{"alg":"HS256","kid":"%d"}`, n)
		verifies(t, verifier, mustHeader(t, secret, header), nil)
		verifies(t, verifier, mustHeader(t, secret, header), nil)
		if known := verifier.KnownHeaders(); known != min(n+1, 16) {
			t.Fatalf("%d headers are remembered after %d", known, n+1)
		}
	}
}

func TestKnownHeaders_Concurrent(t *testing.T) {
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
		t.Errorf("%d headers are remembered", known)
	}
}

// TestVerify_Allocations is about tokens that were not seen before, of an issuer that was. The JWT library makes eight
// of the allocations, seven of them for the HMAC; with its parser there were 55.
func TestVerify_Allocations(t *testing.T) {
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
