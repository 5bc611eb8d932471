package token_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// issuer is an identity provider: it publishes a key set and signs tokens.
type issuer struct {
	*httptest.Server
	name      string
	requested atomic.Int32

	mu      sync.Mutex
	handler http.HandlerFunc // guarded by mu
}

func startIssuer(tb testing.TB, name string) *issuer {
	tb.Helper()
	i := &issuer{name: name}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.requested.Add(1)
		i.mu.Lock()
		handler := i.handler
		i.mu.Unlock()
		handler(w, r)
	}))
	tb.Cleanup(i.Close)
	return i
}

// handle replaces the handler of the issuer.
func (i *issuer) handle(handler http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.handler = handler
}

// answer makes the issuer answer with this status and body.
func (i *issuer) answer(status int, body string) {
	i.handle(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
}

// publish makes the issuer answer with a set of keys, by key id.
func (i *issuer) publish(tb testing.TB, keys map[string]any) {
	tb.Helper()
	var set jwkset.JWKSMarshal
	for id, key := range keys {
		set.Keys = append(set.Keys, mustJWK(tb, key, jwkset.JWKMetadataOptions{KID: id}))
	}
	i.answer(http.StatusOK, mustJSON(set))
}

func mustJWK(tb testing.TB, key any, metadata jwkset.JWKMetadataOptions) jwkset.JWKMarshal {
	tb.Helper()
	jwk, err := jwkset.NewJWKFromKey(
		key, jwkset.JWKOptions{Metadata: metadata, Marshal: jwkset.JWKMarshalOptions{Private: true}},
	)
	if err != nil {
		tb.Fatal(err)
	}
	return jwk.Marshal()
}

// sign makes a token as the issuer does: with its name and a key id in the header.
func (i *issuer) sign(tb testing.TB, id string, key *ecdsa.PrivateKey, claims map[string]any) string {
	tb.Helper()
	claims["iss"] = i.name
	compact := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims(claims))
	compact.Header["kid"] = id
	text, err := compact.SignedString(key)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

func (i *issuer) options() token.VerifierOptions {
	return token.VerifierOptions{
		Keys:    token.KeyOptions{Sets: []token.KeySetOptions{{URL: i.URL, Issuer: i.name}}},
		Require: token.Requirements{Audiences: []string{rtetest.Audience}},
	}
}

func verifies(t *testing.T, verifier *token.Verifier, compact string, want error) {
	t.Helper()
	if _, err := verifier.Verify(compact); !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

func TestKeySet_isReadWhenNeeded(t *testing.T) {
	t.Parallel()
	key := mustECDSA(t, elliptic.P256())
	i := startIssuer(t, "https://a.test")
	i.publish(t, map[string]any{"one": &key.PublicKey})
	verifier := mustVerifier(t, i.options()) // without Run

	verifies(t, verifier, i.sign(t, "one", key, fields()), nil)
	verifies(t, verifier, i.sign(t, "one", key, with("jti", "two")), nil)
	if requested := i.requested.Load(); requested != 1 {
		t.Errorf("the key set was read %d times", requested)
	}
}

// TestKeySet_rotation verifies a thousand tokens per second while the issuer rotates its key repeatedly and signs with
// the new one at once. No good token may be refused.
func TestKeySet_rotation(t *testing.T) {
	t.Parallel()
	const perSecond, lasting, rotations = 1000, 3 * time.Second, 4
	keys := make([]*ecdsa.PrivateKey, rotations)
	for n := range keys {
		keys[n] = mustECDSA(t, elliptic.P256())
	}
	i := startIssuer(t, "https://a.test")
	i.publish(t, map[string]any{"0": &keys[0].PublicKey})
	verifier := mustVerifier(t, i.options())
	stop := rtetest.Start(t, verifier.Run)
	defer stop()

	var connects sync.WaitGroup
	var refused, accepted atomic.Int32
	ticker := time.NewTicker(time.Second / perSecond)
	defer ticker.Stop()
	began := time.Now()
	current := 0
	for n := 0; time.Since(began) < lasting; n++ {
		if due := int(time.Since(began) * rotations / lasting); due != current {
			i.publish(t, map[string]any{
				fmt.Sprint(current): &keys[current].PublicKey, fmt.Sprint(due): &keys[due].PublicKey,
			})
			current = due
		}
		compact := i.sign(t, fmt.Sprint(current), keys[current], with("jti", fmt.Sprint(n)))
		connects.Go(func() {
			if _, err := verifier.Verify(compact); err != nil {
				refused.Add(1)
			} else {
				accepted.Add(1)
			}
		})
		<-ticker.C
	}
	connects.Wait()
	t.Logf("%d connects, the key set was read %d times", accepted.Load(), i.requested.Load())
	if refused.Load() > 0 {
		t.Errorf("%d good tokens of %d were refused", refused.Load(), refused.Load()+accepted.Load())
	}
	if requested := i.requested.Load(); requested > rotations+2 {
		t.Errorf("the key set was read %d times for %d rotations", requested, rotations-1)
	}
}

func TestKeySet_awayAfterTheFirstReading(t *testing.T) {
	t.Parallel()
	key, next := mustECDSA(t, elliptic.P256()), mustECDSA(t, elliptic.P256())
	i := startIssuer(t, "https://a.test")
	i.publish(t, map[string]any{"one": &key.PublicKey})
	core, logs := observer.New(zap.DebugLevel)
	o := i.options()
	o.Logger = zap.New(core)
	verifier := mustVerifier(t, o)
	verifies(t, verifier, i.sign(t, "one", key, fields()), nil)

	i.answer(http.StatusInternalServerError, "")
	verifies(t, verifier, i.sign(t, "one", key, with("jti", "two")), nil)
	verifies(t, verifier, i.sign(t, "other", next, fields()), token.ErrKey)
	i.answer(http.StatusOK, `{"keys": []}`)
	verifies(t, verifier, i.sign(t, "other", next, fields()), token.ErrKey)
	i.Close()
	verifies(t, verifier, i.sign(t, "other", next, fields()), token.ErrKey)
	verifies(t, verifier, i.sign(t, "one", key, with("jti", "three")), nil)
	if warned := logs.FilterLevelExact(zap.WarnLevel).Len(); warned != 1 {
		t.Errorf("%d warnings for one outage", warned)
	}
}

func TestKeySet_awayAtStart(t *testing.T) {
	t.Parallel()
	key := mustECDSA(t, elliptic.P256())
	i := startIssuer(t, "https://a.test")
	i.answer(http.StatusServiceUnavailable, "")
	verifier := mustVerifier(t, i.options())
	verifies(t, verifier, i.sign(t, "one", key, fields()), token.ErrUnavailable)
	i.publish(t, map[string]any{"one": &key.PublicKey})
	compact := i.sign(t, "one", key, fields())
	eventually(t, "the set is tried again a second later", func() bool {
		_, err := verifier.Verify(compact)
		if err != nil && !errors.Is(err, token.ErrUnavailable) {
			t.Fatal(err)
		}
		return err == nil
	})
}

// TestKeySet_unknownKeysAreRateLimited sends tokens with invented key ids: they share readings, however many there are.
func TestKeySet_unknownKeysAreRateLimited(t *testing.T) {
	t.Parallel()
	key := mustECDSA(t, elliptic.P256())
	i := startIssuer(t, "https://a.test")
	i.publish(t, map[string]any{"one": &key.PublicKey})
	verifier := mustVerifier(t, i.options())
	verifies(t, verifier, i.sign(t, "one", key, fields()), nil)
	var attackers sync.WaitGroup
	began := time.Now()
	for n := range 500 {
		compact := i.sign(t, fmt.Sprint("invented", n), key, fields())
		attackers.Go(func() { verifies(t, verifier, compact, token.ErrKey) })
	}
	attackers.Wait()
	if requested, most := i.requested.Load(), 3+int32(time.Since(began)/time.Second); requested > most {
		t.Errorf("the key set was read %d times in %v", requested, time.Since(began))
	}
}

func TestKeySet_severalIssuers(t *testing.T) {
	t.Parallel()
	keyA, keyB := mustECDSA(t, elliptic.P256()), mustECDSA(t, elliptic.P256())
	a, b := startIssuer(t, "https://a.test"), startIssuer(t, "https://b.test")
	a.publish(t, map[string]any{"key": &keyA.PublicKey})
	b.publish(t, map[string]any{"key": &keyB.PublicKey})
	o := standard()
	o.Keys.Sets = []token.KeySetOptions{{URL: a.URL, Issuer: a.name}, {URL: b.URL, Issuer: b.name}}
	verifier := mustVerifier(t, o)

	verifies(t, verifier, a.sign(t, "key", keyA, fields()), nil)
	verifies(t, verifier, b.sign(t, "key", keyB, fields()), nil)
	verifies(t, verifier, mustHS256(t, fields()), nil)
	verifies(t, verifier, a.sign(t, "key", keyB, fields()), token.ErrSignature)
	verifies(t, verifier, b.sign(t, "key", keyA, fields()), token.ErrSignature)
	verifies(t, verifier, mustHS256(t, with("iss", a.name)), token.ErrKey)
	verifies(t, verifier, mustHS256(t, with("iss", "https://c.test")), token.ErrIssuer)
	verifies(t, verifier, mustHS256(t, with("iss", nil)), token.ErrIssuer)

	o = a.options()
	verifies(t, mustVerifier(t, o), b.sign(t, "key", keyB, fields()), token.ErrIssuer)
}

func TestKeySet_forAllIssuersWithAFile(t *testing.T) {
	t.Parallel()
	fileKey, setKey := mustECDSA(t, elliptic.P256()), mustECDSA(t, elliptic.P256())
	i := startIssuer(t, "https://a.test")
	i.publish(t, map[string]any{"set": &setKey.PublicKey})
	verifier := mustVerifier(t, token.VerifierOptions{Keys: token.KeyOptions{
		Sets: []token.KeySetOptions{{URL: i.URL}}, PublicKeyFile: mustPEM(t, &fileKey.PublicKey),
	}})
	verifies(t, verifier, i.sign(t, "file", fileKey, fields()), nil)
	if requested := i.requested.Load(); requested != 0 {
		t.Errorf("the key set was read %d times for a token that the file verifies", requested)
	}
	verifies(t, verifier, i.sign(t, "set", setKey, fields()), nil)
}

func TestKeySet_takesOnlyKeysForSignatures(t *testing.T) {
	t.Parallel()
	key, encryption := mustECDSA(t, elliptic.P256()), mustECDSA(t, elliptic.P256())
	derivation := mustECDSA(t, elliptic.P256())
	private, tied := mustECDSA(t, elliptic.P256()), mustECDSA(t, elliptic.P256())
	weak, err := rsa.GenerateKey(rand.Reader, 1024) // too short on purpose
	if err != nil {
		t.Fatal(err)
	}
	secret := []byte("a secret that should never be published")
	set := jwkset.JWKSMarshal{Keys: []jwkset.JWKMarshal{
		mustJWK(t, &key.PublicKey, jwkset.JWKMetadataOptions{KID: "good", USE: jwkset.UseSig}),
		mustJWK(t, &encryption.PublicKey, jwkset.JWKMetadataOptions{KID: "encryption", USE: jwkset.UseEnc}),
		mustJWK(
			t, &derivation.PublicKey,
			jwkset.JWKMetadataOptions{KID: "derivation", KEYOPS: []jwkset.KEYOPS{jwkset.KeyOpsDeriveKey}},
		),
		mustJWK(t, &tied.PublicKey, jwkset.JWKMetadataOptions{KID: "tied", ALG: jwkset.AlgES384}),
		mustJWK(t, &weak.PublicKey, jwkset.JWKMetadataOptions{KID: "weak"}),
		mustJWK(t, secret, jwkset.JWKMetadataOptions{KID: "secret"}),
		mustJWK(t, private, jwkset.JWKMetadataOptions{KID: "private"}),
		{KTY: "XYZ", KID: "unheard of"},
		{KTY: "EC", CRV: "P-256", X: "AA", Y: "AA", KID: "broken"},
	}}
	i := startIssuer(t, "https://a.test")
	i.answer(http.StatusOK, mustJSON(set))
	verifier := mustVerifier(t, i.options())
	verifies(t, verifier, i.sign(t, "good", key, fields()), nil)
	verifies(t, verifier, i.sign(t, "encryption", encryption, fields()), token.ErrKey)
	verifies(t, verifier, i.sign(t, "derivation", derivation, fields()), token.ErrKey)
	verifies(t, verifier, i.sign(t, "tied", tied, fields()), token.ErrKey)
	for _, alg := range []string{"HS256", "RS256"} {
		compact := rtetest.MustSign(t, secret, `{"alg":"`+alg+`","kid":"secret"}`, mustJSON(with("iss", i.name)))
		if _, err := verifier.Verify(compact); err == nil {
			t.Errorf("a published secret verifies %s", alg)
		}
	}
	compact := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims(with("iss", i.name)))
	compact.Header["kid"] = "weak"
	text, err := compact.SignedString(weak)
	if err != nil {
		t.Fatal(err)
	}
	verifies(t, verifier, text, token.ErrKey)
}

func TestKeySet_badAnswers(t *testing.T) {
	t.Parallel()
	key := mustECDSA(t, elliptic.P256())
	good := mustJSON(
		jwkset.JWKSMarshal{Keys: []jwkset.JWKMarshal{mustJWK(t, &key.PublicKey, jwkset.JWKMetadataOptions{KID: "one"})}},
	)
	elsewhere := startIssuer(t, "")
	elsewhere.answer(http.StatusOK, good)
	for name, handler := range map[string]http.HandlerFunc{
		"Empty":   func(http.ResponseWriter, *http.Request) {},
		"NotJSON": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"TooLarge": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(good + strings.Repeat(" ", 1<<20)))
		},
		"Redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) },
	} {
		t.Run(name, func(t *testing.T) {
			i := startIssuer(t, "https://a.test")
			i.handle(handler)
			verifies(t, mustVerifier(t, i.options()), i.sign(t, "one", key, fields()), token.ErrUnavailable)
		})
	}
}

// TestKeySet_removedKeyIsForgotten removes the key of a cached token from the set: the token must be refused.
func TestKeySet_removedKeyIsForgotten(t *testing.T) {
	t.Parallel()
	key, next := mustECDSA(t, elliptic.P256()), mustECDSA(t, elliptic.P256())
	i := startIssuer(t, "https://a.test")
	i.publish(t, map[string]any{"one": &key.PublicKey})
	registry := prometheus.NewPedanticRegistry()
	o := i.options()
	o.Registerer = registry
	verifier := mustVerifier(t, o)
	compact := i.sign(t, "one", key, fields())
	verifies(t, verifier, compact, nil)
	verifies(t, verifier, compact, nil)

	i.publish(t, map[string]any{"two": &next.PublicKey})
	verifies(t, verifier, i.sign(t, "two", next, fields()), nil) // makes the set be read
	verifies(t, verifier, compact, token.ErrKey)
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}

func TestKeySet_runEndsWhileTheIssuerHangs(t *testing.T) {
	t.Parallel()
	hanging := make(chan struct{})
	i := startIssuer(t, "https://a.test")
	arrived := make(chan struct{}, 1)
	i.handle(func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		select {
		case <-hanging:
		case <-r.Context().Done():
		}
	})
	defer close(hanging)
	stop := rtetest.Start(t, mustVerifier(t, i.options()).Run)
	<-arrived
	began := time.Now()
	stop()
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestParseKeySet(t *testing.T) {
	for text, want := range map[string]*token.KeySetOptions{
		"https://a.test/keys":                      {URL: "https://a.test/keys"},
		"https://a.test/  https://a.test/keys?x=1": {Issuer: "https://a.test/", URL: "https://a.test/keys?x=1"},
		"a http://localhost:1/keys":                {Issuer: "a", URL: "http://localhost:1/keys"},
		"":                                         nil,
		"file:///etc/keys":                         nil,
		"a.test/keys":                              nil,
		"https://a.test/ https://a.test/keys another": nil,
	} {
		set, err := token.ParseKeySet(text)
		if (err == nil) != (want != nil) || want != nil && set != *want {
			t.Errorf("%q: %+v, %v", text, set, err)
		}
	}
}
