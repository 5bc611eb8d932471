package authz_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// The tests of this file are attacks, one each, on a verifier or an authorizer set up as in production.

// TestAttack_PublicKeyAsSecret signs by HMAC with everything that a public key can look like. A verifier that picks the
// algorithm by the header and the key by configuration would accept it.
func TestAttack_PublicKeyAsSecret(t *testing.T) {
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
	for name, o := range map[string]authz.VerifierOptions{
		"File":              {PublicKeyFile: path},
		"FileBesideASecret": {PublicKeyFile: path, Secret: rtetest.Secret},
		"KeySet":            i.options(),
		"OnlyHSAllowed":     {PublicKeyFile: path, Secret: rtetest.Secret, Algorithms: []string{"HS256"}},
	} {
		verifier := mustVerifier(t, o)
		for form, secret := range map[string][]byte{
			"PEM": file, "PEMTrimmed": []byte(strings.TrimSpace(string(file))), "DER": block.Bytes, "PKCS1": pkcs1,
			"PKCS1PEM": pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: pkcs1}),
			"Modulus":  key.N.Bytes(), "Base64": []byte(base64.StdEncoding.EncodeToString(block.Bytes)), "Empty": {},
		} {
			for _, alg := range []string{"HS256", "HS384", "HS512"} {
				header := fmt.Sprintf(`{"alg":%q,"kid":"one"}`, alg)
				token := rtetest.MustSign(t, secret, header, mustJSON(with("iss", i.name)))
				if _, err := verifier.Verify(token); err == nil {
					t.Errorf("%s: %s with the key as %s is accepted", name, alg, form)
				}
			}
		}
	}
}

// TestAttack_SignatureOfAnotherAlgorithm shows each key to the algorithms of the other kinds of keys.
func TestAttack_SignatureOfAnotherAlgorithm(t *testing.T) {
	rsaKey, p256 := mustRSA(t), mustECDSA(t, elliptic.P256())
	verifier := mustVerifier(t, authz.VerifierOptions{
		PublicKeyFile: mustPEM(t, &rsaKey.PublicKey, &p256.PublicKey), Secret: rtetest.Secret,
	})
	for _, alg := range []string{"RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA", "HS256"} {
		for _, key := range []any{rsaKey, p256, []byte(rtetest.Secret)} {
			_, isRSA := key.(*rsa.PrivateKey)
			_, isHMAC := key.([]byte)
			if alg == "RS256" && isRSA || alg == "HS256" && isHMAC || alg == "ES256" && !isRSA && !isHMAC {
				continue
			}
			token := rtetest.MustSign(t, key, `{"alg":"`+alg+`"}`, mustJSON(fields()))
			if _, err := verifier.Verify(token); err == nil {
				t.Errorf("%s with a %T is accepted", alg, key)
			}
		}
	}
}

// TestAttack_KeyID looks for a verifier that uses kid as a file name, a query or a URL.
func TestAttack_KeyID(t *testing.T) {
	key := mustECDSA(t, elliptic.P256())
	i := startIssuer(t, "https://a.test")
	i.publish(t, map[string]any{"one": &key.PublicKey})
	o := i.options()
	o.Secret = rtetest.Secret
	verifier := mustVerifier(t, o)
	for _, kid := range []string{
		`"../../../../dev/null"`, `"/dev/null"`, `"file:///dev/null"`, `"x' UNION SELECT 'secret' --"`, `"one' OR '1'='1"`,
		`"` + i.URL + `/keys"`, `"|/bin/true"`, `""`, `null`, `7`, `["one"]`, `{"kid":"one"}`, `"one\u0000"`, `"ONE"`,
	} {
		for _, secret := range [][]byte{{}, []byte("secret"), []byte("\x00")} {
			token := rtetest.MustSign(t, secret, `{"alg":"HS256","kid":`+kid+`}`, mustJSON(with("iss", i.name)))
			if _, err := verifier.Verify(token); err == nil {
				t.Errorf("kid %s is accepted", kid)
			}
		}
	}
	if asked := i.asked.Load(); asked != 0 {
		t.Errorf("HMAC tokens made the key set be read %d times", asked)
	}
}

// TestAttack_KeyInTheHeader sends tokens that bring their key along, or say where it is.
func TestAttack_KeyInTheHeader(t *testing.T) {
	attacker := mustECDSA(t, elliptic.P256())
	place := startIssuer(t, "")
	place.handle(func(http.ResponseWriter, *http.Request) { t.Error("a place named in a header was visited") })
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
		token := rtetest.MustSign(t, attacker, `{"alg":"ES256","kid":"one",`+field+`}`, mustJSON(with("iss", i.name)))
		if _, err := verifier.Verify(token); err == nil {
			t.Errorf("the key in %s is believed", name)
		}
		// A good token that carries them is still a good token.
		token = rtetest.MustSign(t, key, `{"alg":"ES256","kid":"one",`+field+`}`, mustJSON(with("iss", i.name)))
		if _, err := verifier.Verify(token); err != nil {
			t.Errorf("with %s: %v", name, err)
		}
	}
}

// TestAttack_ECDSAZeroSignature is a signature of zeros, which careless implementations verify for any text.
func TestAttack_ECDSAZeroSignature(t *testing.T) {
	key := mustECDSA(t, elliptic.P256())
	verifier := mustVerifier(t, authz.VerifierOptions{PublicKeyFile: mustPEM(t, &key.PublicKey)})
	text := rtetest.MustSign(t, nil, `{"alg":"ES256"}`, mustJSON(fields()))
	for _, signature := range [][]byte{make([]byte, 64), append(make([]byte, 32), key.Params().N.Bytes()...), make([]byte, 63), make([]byte, 1000)} {
		if _, err := verifier.Verify(text + base64.RawURLEncoding.EncodeToString(signature)); err == nil {
			t.Errorf("signature %x is accepted", signature)
		}
	}
}

// TestAttack_ClaimsForAnotherReader writes claims so that readers disagree about them.
func TestAttack_ClaimsForAnotherReader(t *testing.T) {
	verifier := mustVerifier(t, authz.VerifierOptions{Secret: rtetest.Secret})
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
	// A name in another case is another claim, and no claim of ours.
	token := rtetest.MustSign(t, []byte(rtetest.Secret), `{"alg":"HS256"}`,
		`{`+good+fmt.Sprintf(`,"Org":%q,"ROLE":"service","Exp":1}`, foreign))
	claims, err := verifier.Verify(token)
	if err != nil || claims.Organization != home || claims.Role != authz.RoleAgent {
		t.Errorf("got %+v, %v", claims, err)
	}
}

// TestAttack_SpellingsOfEntities asks for an entity by everything that some GUID parser takes for it. One entity must
// have one spelling, or limits could be walked around.
func TestAttack_SpellingsOfEntities(t *testing.T) {
	gate := mustGate(t, callCentre())
	id := me.String()
	for name, spelling := range map[string]string{
		"Braces": "{" + id + "}", "Parentheses": "(" + id + ")", "N": strings.ReplaceAll(id, "-", ""),
		"URN": "urn:uuid:" + id, "SpaceBefore": " " + id, "SpaceAfter": id + " ", "NewLine": id + "\n", "Zero": id + "\x00",
		"WideDigit": "\uff10" + id[1:], "WideDigitSameLength": "\uff10" + id[3:], "ArabicDigit": "\u0661" + id[2:],
		"EnDash": strings.Replace(id, "-", "\u2013", 1), "SoftHyphen": id[:8] + "\u00ad" + id[8:], "Hex": "0x" + id,
		"Dashes": strings.Repeat("-", 36), "Base64": base64.StdEncoding.EncodeToString(me[:]), "Raw": string(me[:]),
		"HexOnly": hex.EncodeToString(me[:]), "Long": strings.Repeat(id, 1000), "Invalid": "\xff" + id[1:],
	} {
		decision := gate.Authorize(t.Context(), agentOfHome, []authz.Request{{EntityID: spelling, EventName: "UserStatus"}})[0]
		if decision.Refusal != authz.RefusedEntity {
			t.Errorf("%s: got %q", name, decision.Refusal)
		}
	}
	upper := gate.Authorize(t.Context(), agentOfHome, []authz.Request{{EntityID: strings.ToUpper(id), EventName: "UserStatus"}})[0]
	if upper.Refusal != "" || upper.Topic.Entity != me {
		t.Errorf("upper case: got %+v", upper)
	}
}

// TestAttack_GuessingEntities compares what a caller learns of an entity of another organization with what it learns of
// one that does not exist: every event, every role, whatever grants claim.
func TestAttack_GuessingEntities(t *testing.T) {
	for _, d := range []authz.Directory{callCentre(), mustCached(t, authz.CachedDirectoryOptions{Source: organization()})} {
		gate := mustGate(t, d)
		for _, role := range []authz.Role{authz.RoleAgent, authz.RoleSupervisor, authz.RoleService} {
			claims := &authz.Claims{
				User: me, Organization: home, Role: role,
				Grants: []authz.Grant{{Entity: foreignQueue}, {Entity: unknownEntity}, {Event: "QueueStatus"}},
			}
			for _, event := range append(events.Builtin().Names(), "Nothing", "") {
				decisions := gate.Authorize(t.Context(), claims, []authz.Request{
					{EntityID: foreignQueue.String(), EventName: event}, {EntityID: unknownEntity.String(), EventName: event},
				})
				if decisions[0] != decisions[1] || decisions[0].Refusal == "" {
					t.Errorf("%s, %s: %+v", role, event, decisions)
				}
			}
		}
	}
}

// TestAttack_OrganizationsNotOnesOwn claims further organizations in every way that is not a signed claim of that name.
func TestAttack_OrganizationsNotOnesOwn(t *testing.T) {
	verifier := mustVerifier(t, standard())
	gate := mustGate(t, callCentre())
	for _, extra := range []map[string]any{
		{"organizations": []string{foreign.String()}},
		{"Orgs": []string{foreign.String()}},
		{"org_id": foreign.String()},
		{"grants": []map[string]string{{"entity": foreignQueue.String(), "event": "QueueStatus"}}},
		{"orgs": []string{other.String()}},
	} {
		f := with("role", "service")
		maps.Copy(f, extra)
		claims, err := verifier.Verify(mustHS256(t, f))
		if err != nil {
			t.Fatal(err)
		}
		decision := gate.Authorize(t.Context(), claims, []authz.Request{{EntityID: foreignQueue.String(), EventName: "QueueStatus"}})[0]
		if decision.Refusal != authz.RefusedUnauthorized {
			t.Errorf("with %v: %+v", extra, decision)
		}
	}
}

// TestAttack_TopicCarriesTheOrganization: with a directory that trusts the token anybody may ask for anything; what
// comes of it are topics of the caller's own organization, on which nothing foreign arrives.
func TestAttack_TopicCarriesTheOrganization(t *testing.T) {
	gate := mustGate(t, authz.ClaimsDirectory{})
	for _, claims := range []*authz.Claims{
		{User: me, Organization: home, Role: authz.RoleService},
		{User: me, Organization: home, Organizations: []events.ID{foreign}, Role: authz.RoleService},
	} {
		decision := gate.Authorize(t.Context(), claims, []authz.Request{{EntityID: foreignQueue.String(), EventName: "QueueStatus"}})[0]
		if decision.Topic.Organization != home {
			t.Errorf("got %+v", decision)
		}
	}
}

// TestAttack_TokenInTheLog drives a verifier through refusals and key changes with a log that keeps everything.
func TestAttack_TokenInTheLog(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	i := startIssuer(t, "https://a.test")
	key := mustECDSA(t, elliptic.P256())
	i.publish(t, map[string]any{"one": &key.PublicKey})
	o := i.options()
	o.Secret, o.Logger = rtetest.Secret, zap.New(core)
	verifier := mustVerifier(t, o)
	good := i.sign(t, "one", key, fields())
	tokens := []string{
		good, good[:len(good)-4], i.sign(t, "two", key, fields()), mustHS256(t, with("exp", 1)), mustHS256(t, with("sub", "anna")),
		rtetest.MustSign(t, nil, `{"alg":"none"}`, mustJSON(fields())), "garbage-that-is-long-enough-to-be-found",
	}
	var said strings.Builder
	for n, token := range tokens {
		if n == 2 {
			i.answer(http.StatusInternalServerError, token)
		}
		_, err := verifier.Verify(token)
		fmt.Fprintln(&said, err)
	}
	for _, entry := range logs.All() {
		fmt.Fprintln(&said, entry.Message, entry.ContextMap())
	}
	if logs.Len() == 0 {
		t.Error("nothing was logged: the test shows nothing")
	}
	for _, token := range tokens {
		for part := range strings.SplitSeq(token, ".") {
			if len(part) > 16 && strings.Contains(said.String(), part) {
				t.Errorf("a part of a token was said: %s", said.String())
			}
		}
	}
	if strings.Contains(said.String(), rtetest.Secret) || strings.Contains(said.String(), "anna") {
		t.Errorf("a secret or a claim was said: %s", said.String())
	}
}

// selfSigned is a certificate for a key.
func selfSigned(tb testing.TB, key *ecdsa.PrivateKey) []byte {
	tb.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	return certificate
}
