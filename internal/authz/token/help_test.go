package token_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"path/filepath"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

var (
	home, other, foreign = events.NewID(), events.NewID(), events.NewID()
	me, colleague, queue = events.NewID(), events.NewID(), events.NewID()
)

func mustRSA(tb testing.TB) *rsa.PrivateKey {
	tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func mustECDSA(tb testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func pemOf(tb testing.TB, keys ...any) []byte {
	tb.Helper()
	var data []byte
	for _, key := range keys {
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			tb.Fatal(err)
		}
		data = append(data, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})...)
	}
	return data
}

// mustPEM writes public keys to a file.
func mustPEM(tb testing.TB, keys ...any) (path string) {
	tb.Helper()
	path = filepath.Join(tb.TempDir(), "keys.pem")
	rtetest.MustReplaceFile(tb, path, pemOf(tb, keys...))
	return path
}

func mustJSON(value any) string {
	data, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// rename returns fields with a claim under another name.
func rename(from, to string) map[string]any {
	f := fields()
	f[to] = f[from]
	delete(f, from)
	return f
}

func many[T any](n int, value T) []T {
	list := make([]T, n)
	for i := range list {
		list[i] = value
	}
	return list
}

// next returns the following base64url digit: at the end of a signature of 32 bytes it differs only in unused bits.
func next(digit byte) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for i := range digits {
		if digits[i] == digit {
			return digits[i+1 : i+2]
		}
	}
	return "A"
}

// eventually polls until a condition holds, for at most ten seconds.
func eventually(tb testing.TB, what string, condition func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(time.Minute); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("not within a minute: %s", what)
		}
	}
}

// mustHeaderAndClaims signs a header and a claims set as they are written.
func mustHeaderAndClaims(tb testing.TB, header, claims string) string {
	tb.Helper()
	return rtetest.MustSign(tb, []byte(rtetest.Secret), header, claims)
}
