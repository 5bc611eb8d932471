package token_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// Each test of this file is an attack on a verifier with a production setup.

// TestAttack_publicKeyAsSecret signs by HMAC with every form of a public key. A verifier that picks the
// algorithm by the header and the key by configuration would accept it.
func TestAttack_publicKeyAsSecret(t *testing.T) {
	key := mustRSA(t)
	path := mustPEM(t, &key.PublicKey)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(file)
	pkcs1 := x509.MarshalPKCS1PublicKey(&key.PublicKey)
	i := startIssuer(t, "https://a.test")
	i.publish(t, map[string]any{"one": &key.PublicKey})
	for name, o := range map[string]token.VerifierOptions{
		"File":              {Keys: token.KeyOptions{PublicKeyFile: path}},
		"FileBesideASecret": {Keys: token.KeyOptions{PublicKeyFile: path, Secret: rtetest.Secret}},
		"KeySet":            i.options(),
		"OnlyHSAllowed": {
			Keys: token.KeyOptions{PublicKeyFile: path, Secret: rtetest.Secret, Algorithms: []string{"HS256"}},
		},
	} {
		verifier := mustVerifier(t, o)
		for form, secret := range map[string][]byte{
			"PEM": file, "PEMTrimmed": []byte(strings.TrimSpace(string(file))), "DER": block.Bytes, "PKCS1": pkcs1,
			"PKCS1PEM": pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: pkcs1}),
			"Modulus":  key.N.Bytes(), "Base64": []byte(base64.StdEncoding.EncodeToString(block.Bytes)), "Empty": {},
		} {
			for _, alg := range []string{"HS256", "HS384", "HS512"} {
				header := fmt.Sprintf(`{"alg":%q,"kid":"one"}`, alg)
				compact := rtetest.MustSign(t, secret, header, mustJSON(with("iss", i.name)))
				if _, err := verifier.Verify(compact); err == nil {
					t.Errorf("%s: %s with the key as %s is accepted", name, alg, form)
				}
			}
		}
	}
}

// TestAttack_signatureOfAnotherAlgorithm signs with each key for the algorithms of the other kinds of keys.
func TestAttack_signatureOfAnotherAlgorithm(t *testing.T) {
	rsaKey, p256 := mustRSA(t), mustECDSA(t, elliptic.P256())
	verifier := mustVerifier(
		t,
		token.VerifierOptions{
			Keys: token.KeyOptions{PublicKeyFile: mustPEM(t, &rsaKey.PublicKey, &p256.PublicKey), Secret: rtetest.Secret},
		},
	)
	for _, alg := range []string{"RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA", "HS256"} {
		for _, key := range []any{rsaKey, p256, []byte(rtetest.Secret)} {
			_, isRSA := key.(*rsa.PrivateKey)
			_, isHMAC := key.([]byte)
			if alg == "RS256" && isRSA || alg == "HS256" && isHMAC || alg == "ES256" && !isRSA && !isHMAC {
				continue
			}
			compact := rtetest.MustSign(t, key, `{"alg":"`+alg+`"}`, mustJSON(fields()))
			if _, err := verifier.Verify(compact); err == nil {
				t.Errorf("%s with a %T is accepted", alg, key)
			}
		}
	}
}

// TestAttack_keyID looks for a verifier that uses kid as a file name, a query or a URL.
func TestAttack_keyID(t *testing.T) {
	key := mustECDSA(t, elliptic.P256())
	i := startIssuer(t, "https://a.test")
	i.publish(t, map[string]any{"one": &key.PublicKey})
	o := i.options()
	o.Keys.Secret = rtetest.Secret
	verifier := mustVerifier(t, o)
	for _, kid := range []string{
		`"../../../../dev/null"`, `"/dev/null"`, `"file:///dev/null"`, `"x' UNION SELECT 'secret' --"`, `"one' OR '1'='1"`,
		`"` + i.URL + `/keys"`, `"|/bin/true"`, `""`, `null`, `7`, `["one"]`, `{"kid":"one"}`, `"one\u0000"`, `"ONE"`,
	} {
		for _, secret := range [][]byte{{}, []byte("secret"), []byte("\x00")} {
			compact := rtetest.MustSign(t, secret, `{"alg":"HS256","kid":`+kid+`}`, mustJSON(with("iss", i.name)))
			if _, err := verifier.Verify(compact); err == nil {
				t.Errorf("kid %s is accepted", kid)
			}
		}
	}
	if requested := i.requested.Load(); requested != 0 {
		t.Errorf("HMAC tokens made the key set be read %d times", requested)
	}
}

// TestAttack_keyInTheHeader sends tokens whose header contains or locates their key.
func TestAttack_keyInTheHeader(t *testing.T) {
	attacker := mustECDSA(t, elliptic.P256())
	place := startIssuer(t, "")
	place.handle(func(http.ResponseWriter, *http.Request) { t.Error("a URL in a header was read") })
	key := mustECDSA(t, elliptic.P256())
	i := startIssuer(t, "https://a.test")
	i.publish(t, map[string]any{"one": &key.PublicKey})
	verifier := mustVerifier(t, i.options())
	certificate := selfSigned(t, attacker)
	jwk := mustJSON(mustJWK(t, &attacker.PublicKey, jwkset.JWKMetadataOptions{KID: "one"}))
	for name, field := range map[string]string{
		"jku": `"jku":"` + place.URL + `"`, "x5u": `"x5u":"` + place.URL + `"`, "jwk": `"jwk":` + jwk,
		"x5c": `"x5c":["` + base64.StdEncoding.EncodeToString(certificate) + `"]`,
	} {
		compact := rtetest.MustSign(t, attacker, `{"alg":"ES256","kid":"one",`+field+`}`, mustJSON(with("iss", i.name)))
		if _, err := verifier.Verify(compact); err == nil {
			t.Errorf("the key in %s is accepted", name)
		}
		// A good token with such a header stays a good token.
		compact = rtetest.MustSign(t, key, `{"alg":"ES256","kid":"one",`+field+`}`, mustJSON(with("iss", i.name)))
		if _, err := verifier.Verify(compact); err != nil {
			t.Errorf("with %s: %v", name, err)
		}
	}
}

// TestAttack_zeroSignature sends signatures of zeros, which careless implementations accept for any text.
func TestAttack_zeroSignature(t *testing.T) {
	key := mustECDSA(t, elliptic.P256())
	verifier := mustVerifier(t, token.VerifierOptions{Keys: token.KeyOptions{PublicKeyFile: mustPEM(t, &key.PublicKey)}})
	text := rtetest.MustSign(t, nil, `{"alg":"ES256"}`, mustJSON(fields()))
	for _, signature := range [][]byte{make([]byte, 64), append(
		make([]byte, 32), key.Params().N.Bytes()...,
	), make([]byte, 63), make([]byte, 1000)} {
		if _, err := verifier.Verify(text + base64.RawURLEncoding.EncodeToString(signature)); err == nil {
			t.Errorf("signature %x is accepted", signature)
		}
	}
}

// TestAttack_claimsForAnotherReader sends claims that different readers understand differently.
func TestAttack_claimsForAnotherReader(t *testing.T) {
	verifier := mustVerifier(t, token.VerifierOptions{Keys: token.KeyOptions{Secret: rtetest.Secret}})
	good := fmt.Sprintf(`"sub":%q,"org":%q`, me, home)
	for name, claims := range map[string]string{
		"OrganizationTwice":   `{` + good + fmt.Sprintf(`,"org":%q}`, foreign),
		"OrganizationEscaped": `{` + good + fmt.Sprintf(`,"\u006f\u0072\u0067":%q}`, foreign),
		"RoleTwice":           `{"role":"agent","role":"service",` + good + `}`,
		"ExpiryTwice":         `{"exp":1,"exp":99999999999,` + good + `}`,
		"GrantTwice":          `{` + good + fmt.Sprintf(`,"grants":[{"entity":%q,"entity":%q}]}`, me, queue),
		"TwoObjects":          `{` + good + `}{` + good + `}`,
		"Comment":             `{` + good + `/**/}`,
		"TrailingComma":       `{` + good + `,}`,
		"SingleQuotes":        `{'sub':'` + me.String() + `'}`,
		"ByteOrderMark":       "\ufeff{" + good + `}`,
	} {
		if _, err := verifier.Verify(rtetest.MustSign(t, []byte(rtetest.Secret), `{"alg":"HS256"}`, claims)); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	// A name in another case is another claim.
	compact := rtetest.MustSign(t, []byte(rtetest.Secret), `{"alg":"HS256"}`,
		`{`+good+fmt.Sprintf(`,"Org":%q,"ROLE":"service","Exp":1}`, foreign))
	claims, err := verifier.Verify(compact)
	if err != nil || claims.Organization != home || claims.Role != token.RoleAgent {
		t.Errorf("got %+v, %v", claims, err)
	}
}

// TestAttack_tokenInTheLog checks that refusals and key changes log no part of a token, at any level.
func TestAttack_tokenInTheLog(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	i := startIssuer(t, "https://a.test")
	key := mustECDSA(t, elliptic.P256())
	i.publish(t, map[string]any{"one": &key.PublicKey})
	o := i.options()
	o.Keys.Secret, o.Logger = rtetest.Secret, zap.New(core)
	verifier := mustVerifier(t, o)
	good := i.sign(t, "one", key, fields())
	tokens := []string{
		good, good[:len(good)-4], i.sign(t, "two", key, fields()), mustHS256(t, with("exp", 1)), mustHS256(
			t, with("sub", "anna"),
		),
		rtetest.MustSign(t, nil, `{"alg":"none"}`, mustJSON(fields())), "garbage-that-is-long-enough-to-be-found",
	}
	var reported strings.Builder
	for n, compact := range tokens {
		if n == 2 {
			i.answer(http.StatusInternalServerError, compact)
		}
		_, err := verifier.Verify(compact)
		fmt.Fprintln(&reported, err)
	}
	for _, entry := range logs.All() {
		fmt.Fprintln(&reported, entry.Message, entry.ContextMap())
	}
	if logs.Len() == 0 {
		t.Error("nothing was logged: the test proves nothing")
	}
	for _, compact := range tokens {
		for part := range strings.SplitSeq(compact, ".") {
			if len(part) > 16 && strings.Contains(reported.String(), part) {
				t.Errorf("a part of a token was reported: %s", reported.String())
			}
		}
	}
	if strings.Contains(reported.String(), rtetest.Secret) || strings.Contains(reported.String(), "anna") {
		t.Errorf("a secret or a claim was reported: %s", reported.String())
	}
}

// selfSigned makes a certificate for a key.
func selfSigned(tb testing.TB, key *ecdsa.PrivateKey) []byte {
	tb.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	return certificate
}
