package rtetest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/events"
)

// The secret, the issuer and the audience of the tokens of this package.
const (
	Secret   = "a secret for tests, longer than 32 bytes"
	Issuer   = "https://issuer.test"
	Audience = "rte-test"
)

// MustToken signs a token for the claims that is valid for an hour. It replaces a zero user or organization with a
// random id.
func MustToken(tb testing.TB, claims authz.Claims) string {
	tb.Helper()
	return MustTokenFor(tb, claims, time.Hour)
}

// MustTokenFor is MustToken with another lifetime. A token with a negative lifetime has expired.
func MustTokenFor(tb testing.TB, claims authz.Claims, ttl time.Duration) string {
	tb.Helper()
	if (claims.User == events.ID{}) {
		claims.User = events.NewID()
	}
	if (claims.Organization == events.ID{}) {
		claims.Organization = events.NewID()
	}
	signed, err := token.NewSigner(token.SignerOptions{Secret: Secret, Require: requirements()}).Sign(claims, ttl)
	if err != nil {
		tb.Fatal(err)
	}
	return signed
}

// MustVerifier returns a verifier that accepts the tokens of MustToken.
func MustVerifier(tb testing.TB) *token.Verifier {
	tb.Helper()
	verifier, err := token.NewVerifier(token.VerifierOptions{
		Keys: token.KeyOptions{Secret: Secret}, Require: requirements(),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return verifier
}

// MustID parses a GUID.
func MustID(tb testing.TB, text string) events.ID {
	tb.Helper()
	id, ok := events.ParseID(text)
	if !ok {
		tb.Fatalf("%q is not a GUID", text)
	}
	return id
}

// MustSign returns a token of a header and a payload, right or wrong: the JSON texts may differ from the output of a
// JWT library. It signs by the type of key and ignores the algorithm in the header. A []byte key signs by HMAC with
// SHA-256, an RSA key by PKCS #1 v1.5 with SHA-256, an ECDSA key (P-256) as ES256, and an Ed25519 key as EdDSA. With a
// nil key the signature is empty.
func MustSign(tb testing.TB, key any, header, payload string) string {
	tb.Helper()
	text := encode([]byte(header)) + "." + encode([]byte(payload))
	digest := sha256.Sum256([]byte(text))
	var signature []byte
	var err error
	switch key := key.(type) {
	case nil:
	case []byte:
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(text))
		signature = mac.Sum(nil)
	case *rsa.PrivateKey:
		signature, err = rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	case *ecdsa.PrivateKey:
		r, s, failure := ecdsa.Sign(rand.Reader, key, digest[:])
		if err = failure; err == nil {
			signature = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		}
	case ed25519.PrivateKey:
		signature = ed25519.Sign(key, []byte(text))
	default:
		tb.Fatalf("no way to sign with a %T", key)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return text + "." + encode(signature)
}

func encode(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// requirements are those that the tokens of MustToken meet.
func requirements() token.Requirements {
	return token.Requirements{Issuers: []string{Issuer}, Audiences: []string{Audience}}
}
