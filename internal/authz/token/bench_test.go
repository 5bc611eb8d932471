package token_test

import (
	"crypto/elliptic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/rte-server/rte-server/internal/authz/token"
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
		compact := mustSign(b, method.SigningMethod, method.key, fields())
		for name, cache := range map[string]int{"Cached": 0, "NotCached": -1} {
			b.Run(method.Alg()+"/"+name, func(b *testing.B) {
				o := standard()
				o.Keys.PublicKeyFile, o.CacheSize, o.Revocations = pemFile, cache, token.NewRevocations(0, nil)
				verifier := mustVerifier(b, o)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := verifier.Verify(compact); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkVerifyNew verifies each token once, as after the loss of another node; all have one issuer.
func BenchmarkVerifyNew(b *testing.B) {
	tokens := make([]string, 1<<14)
	expiry := time.Now().Add(time.Hour).Unix()
	for i := range tokens {
		tokens[i] = mustHS256(b, map[string]any{
			"sub": events.NewID().String(), "org": home.String(), "role": "agent", "exp": expiry,
		})
	}
	var verifier *token.Verifier
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%len(tokens) == 0 {
			verifier = mustVerifier(b, token.VerifierOptions{Keys: token.KeyOptions{Secret: rtetest.Secret}})
		}
		if _, err := verifier.Verify(tokens[i%len(tokens)]); err != nil {
			b.Fatal(err)
		}
	}
}
