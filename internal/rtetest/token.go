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

// What the tokens of this package are signed with, and the issuer and audience that they name.
const (
	Secret   = "a secret for tests, longer than 32 bytes"
	Issuer   = "https://issuer.test"
	Audience = "rte-test"
)

// MustToken signs a token for the claims, valid for an hour. A user or organization that is zero is made up.
func MustToken(tb testing.TB, claims authz.Claims) string {
	tb.Helper()
	return MustTokenFor(tb, claims, time.Hour)
}

// MustTokenFor is MustToken for a token that is valid for another time; a negative one has expired.
func MustTokenFor(tb testing.TB, claims authz.Claims, ttl time.Duration) string {
	tb.Helper()
	if (claims.User == events.ID{}) {
		claims.User = events.NewID()
	}
	if (claims.Organization == events.ID{}) {
		claims.Organization = events.NewID()
	}
	signed, err := token.NewSigner(Secret, Issuer, Audience).Sign(claims, ttl)
	if err != nil {
		tb.Fatal(err)
	}
	return signed
}

// MustVerifier makes a verifier that accepts the tokens of MustToken.
func MustVerifier(tb testing.TB) *token.Verifier {
	tb.Helper()
	verifier, err := token.NewVerifier(token.VerifierOptions{
		Secret: Secret, Issuers: []string{Issuer}, Audiences: []string{Audience},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return verifier
}

// MustID reads a GUID.
func MustID(tb testing.TB, text string) events.ID {
	tb.Helper()
	id, ok := events.ParseID(text)
	if !ok {
		tb.Fatalf("%q is not a GUID", text)
	}
	return id
}

// MustSign makes a token of a header and a payload as they stand, right or wrong: the JSON texts need not be what a
// JWT library would write. A []byte key signs by HMAC with SHA-256, an RSA key by PKCS #1 v1.5 with SHA-256, an ECDSA
// key (P-256) and an Ed25519 key as ES256 and EdDSA want it, and a nil key leaves the signature empty; what the header
// says of the algorithm is not looked at.
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
