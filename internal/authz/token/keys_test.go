package token_test

import (
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/rtetest"
)

func TestVerify_algorithms(t *testing.T) {
	rsaKey := mustRSA(t)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p256, p384, p521 := mustECDSA(t, elliptic.P256()), mustECDSA(t, elliptic.P384()), mustECDSA(t, elliptic.P521())
	o := standard()
	o.Keys.PublicKeyFile = mustPEM(t, &rsaKey.PublicKey, &p256.PublicKey, &p384.PublicKey, &p521.PublicKey, edKey.Public())
	verifier := mustVerifier(t, o)
	secret := []byte(rtetest.Secret)
	for _, test := range []struct {
		method jwt.SigningMethod
		key    any
	}{
		{jwt.SigningMethodHS256, secret},
		{jwt.SigningMethodHS384, secret},
		{jwt.SigningMethodHS512, secret},
		{jwt.SigningMethodRS256, rsaKey},
		{jwt.SigningMethodRS384, rsaKey},
		{jwt.SigningMethodRS512, rsaKey},
		{jwt.SigningMethodPS256, rsaKey},
		{jwt.SigningMethodPS384, rsaKey},
		{jwt.SigningMethodPS512, rsaKey},
		{jwt.SigningMethodES256, p256},
		{jwt.SigningMethodES384, p384},
		{jwt.SigningMethodES512, p521},
		{jwt.SigningMethodEdDSA, edKey},
	} {
		t.Run(test.method.Alg(), func(t *testing.T) {
			compact := mustSign(t, test.method, test.key, fields())
			if _, err := verifier.Verify(compact); err != nil {
				t.Error(err)
			}
			one := o
			one.Keys.Algorithms = []string{test.method.Alg()}
			if _, err := mustVerifier(t, one).Verify(compact); err != nil {
				t.Error(err)
			}
			for _, algorithm := range []string{"HS256", "RS256"} {
				if algorithm == test.method.Alg() {
					continue
				}
				one.Keys.Algorithms = []string{algorithm}
				if _, err := mustVerifier(t, one).Verify(compact); !errors.Is(err, token.ErrAlgorithm) {
					t.Errorf("where only %s is allowed: %v", algorithm, err)
				}
			}
		})
	}
}

func TestVerify_previousSecret(t *testing.T) {
	o := standard()
	o.Keys.Secret, o.Keys.PreviousSecret = "the secret of today, long enough", rtetest.Secret
	verifier := mustVerifier(t, o)
	for _, secret := range []string{o.Keys.Secret, o.Keys.PreviousSecret} {
		if _, err := verifier.Verify(mustSign(t, jwt.SigningMethodHS256, []byte(secret), fields())); err != nil {
			t.Error(err)
		}
	}
	if _, err := verifier.Verify(
		mustSign(t, jwt.SigningMethodHS256, []byte("x"), fields()),
	); !errors.Is(err, token.ErrSignature) {
		t.Error(err)
	}
}

func TestVerifier_publicKeyFileIsWatched(t *testing.T) {
	first, second := mustRSA(t), mustRSA(t)
	path := mustPEM(t, &first.PublicKey)
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.DebugLevel)
		verifier := mustVerifier(t, token.VerifierOptions{Keys: token.KeyOptions{PublicKeyFile: path}, Logger: zap.New(core)})
		stop := rtetest.Start(t, verifier.Run)
		defer stop()
		want := func(firstErr, secondErr error) {
			t.Helper()
			for key, want := range map[*rsa.PrivateKey]error{first: firstErr, second: secondErr} {
				if _, err := verifier.Verify(mustSign(t, jwt.SigningMethodRS256, key, with("exp", nil))); !errors.Is(err, want) {
					t.Errorf("got %v, want %v", err, want)
				}
			}
		}
		want(nil, token.ErrSignature)

		rtetest.MustReplaceFile(t, path, pemOf(t, &second.PublicKey, &first.PublicKey))
		time.Sleep(3 * time.Second)
		want(nil, nil)

		rtetest.MustReplaceFile(t, path, pemOf(t, &second.PublicKey))
		time.Sleep(3 * time.Second)
		want(token.ErrSignature, nil)

		rtetest.MustReplaceFile(t, path, []byte("half a fi"))
		time.Sleep(10 * time.Second)
		want(token.ErrSignature, nil)
		if refused := logs.FilterLevelExact(zap.ErrorLevel).Len(); refused != 1 {
			t.Errorf("%d errors in the log for one bad file", refused)
		}

		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		want(token.ErrSignature, nil)
		if gone := logs.FilterLevelExact(zap.WarnLevel).Len(); gone != 1 {
			t.Errorf("%d warnings in the log for one missing file", gone)
		}
	})
}

func TestNewVerifier_refusesMistakes(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024) // too short on purpose
	if err != nil {
		t.Fatal(err)
	}
	strong := mustRSA(t)
	private := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(strong)})
	file := func(data []byte) string {
		path := filepath.Join(t.TempDir(), "key.pem")
		rtetest.MustReplaceFile(t, path, data)
		return path
	}
	for name, o := range map[string]token.VerifierOptions{
		"NoKey":               {},
		"OnlyPreviousSecret":  {Keys: token.KeyOptions{PreviousSecret: "x"}},
		"NegativeLeeway":      {Keys: token.KeyOptions{Secret: "x"}, Require: token.Requirements{Leeway: -1}},
		"AlgorithmNone":       {Keys: token.KeyOptions{Secret: "x", Algorithms: []string{"none"}}},
		"AlgorithmInCase":     {Keys: token.KeyOptions{Secret: "x", Algorithms: []string{"hs256"}}},
		"AlgorithmWithoutKey": {Keys: token.KeyOptions{Secret: "x", Algorithms: []string{"RS256"}}},
		"NoFile":              {Keys: token.KeyOptions{PublicKeyFile: filepath.Join(t.TempDir(), "none")}},
		"EmptyFile":           {Keys: token.KeyOptions{PublicKeyFile: file(nil)}},
		"PrivateKey":          {Keys: token.KeyOptions{PublicKeyFile: file(private)}},
		"ShortRSAKey":         {Keys: token.KeyOptions{PublicKeyFile: file(pemOf(t, &weak.PublicKey))}},
		"OddCurve": {
			Keys: token.KeyOptions{PublicKeyFile: file(pemOf(t, &mustECDSA(t, elliptic.P224()).PublicKey))},
		},
		"BrokenBlock": {
			Keys: token.KeyOptions{PublicKeyFile: file(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")}))},
		},
		"OneBadBlock": {Keys: token.KeyOptions{PublicKeyFile: file(append(pemOf(t, &strong.PublicKey),
			pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})...))}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := token.NewVerifier(o); err == nil {
				t.Error("accepted")
			}
		})
	}
}
