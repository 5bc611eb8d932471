package token_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// Auth0 and WorkOS publish an x5t that is not the thumbprint of the certificate. The library dropped such keys
// silently, and one entry whose kid was a number made the whole set unusable: the key of every token was unknown.
func TestKeySet_oddEntriesAreSkipped(t *testing.T) {
	t.Parallel()
	key := mustECDSA(t, elliptic.P256())
	odd := mustJWK(t, &key.PublicKey, jwkset.JWKMetadataOptions{KID: "one"})
	odd.X5T = "bm90IGEgdGh1bWJwcmludA"
	odd.X5TS256 = odd.X5T
	i := startIssuer(t, "https://a.test")
	i.answer(http.StatusOK, `{"keys":[{"kty":"RSA","kid":7},null,`+mustJSON(odd)+`]}`)
	core, logs := observer.New(zap.WarnLevel)
	o := i.options()
	o.Logger = zap.New(core)
	verifier := mustVerifier(t, o)
	verifies(t, verifier, i.sign(t, "one", key, fields()), nil)
	verifies(t, verifier, i.sign(t, "two", key, fields()), token.ErrKey) // makes the set be read again
	var got []string
	for _, entry := range logs.FilterMessage("a key of the key set is skipped").All() {
		got = append(got, fmt.Sprint(entry.ContextMap()["kid"], ": ", entry.ContextMap()["reason"]))
	}
	if diff := cmp.Diff([]string{"7: kid: not a string", ": not a JSON object"}, got); diff != "" {
		t.Error(diff)
	}
}

// A token without a kid was tried with every key of the set: 64 RSA keys took 2.8 ms of CPU time, before anything about
// the client was known.
func TestKeySet_candidatesAreBounded(t *testing.T) {
	t.Parallel()
	keys, all := map[string]any{}, make([]*ecdsa.PrivateKey, 64)
	for n := range all {
		all[n] = mustECDSA(t, elliptic.P256())
		keys[fmt.Sprint(n)] = &all[n].PublicKey
	}
	i := startIssuer(t, "https://a.test")
	i.publish(t, keys)
	verifier := mustVerifier(t, i.options())
	for n, key := range all { // a token that names its key costs one verification, wherever the key is
		verifies(t, verifier, i.sign(t, fmt.Sprint(n), key, fields()), nil)
	}
	for kid, want := range map[string]int{"": 8, "63": 1, "unknown": 0} {
		if n := verifier.Candidates(i.name, kid, "ES256"); n != want {
			t.Errorf("%d keys are tried for the kid %q, want %d", n, kid, want)
		}
	}

	var unnamed jwkset.JWKSMarshal // the same for keys without a name, which any token may be signed with
	for _, key := range all {
		unnamed.Keys = append(unnamed.Keys, mustJWK(t, &key.PublicKey, jwkset.JWKMetadataOptions{}))
	}
	i.answer(http.StatusOK, mustJSON(unnamed))
	verifier = mustVerifier(t, i.options())
	verifies(t, verifier, i.sign(t, "any", all[0], fields()), nil)
	if n := verifier.Candidates(i.name, "any", "ES256"); n != 8 {
		t.Errorf("%d keys are tried", n)
	}
}

func TestKeySet_keyWithTheNameOfTheTokenIsTriedFirst(t *testing.T) {
	t.Parallel()
	key := mustECDSA(t, elliptic.P256())
	var set jwkset.JWKSMarshal
	for range 20 {
		set.Keys = append(set.Keys, mustJWK(t, &mustECDSA(t, elliptic.P256()).PublicKey, jwkset.JWKMetadataOptions{}))
	}
	set.Keys = append(set.Keys, mustJWK(t, &key.PublicKey, jwkset.JWKMetadataOptions{KID: "one"}))
	i := startIssuer(t, "https://a.test")
	i.answer(http.StatusOK, mustJSON(set))
	verifies(t, mustVerifier(t, i.options()), i.sign(t, "one", key, fields()), nil)
}

// While no key was ever read, every token was refused with 401, so that clients threw good tokens away.
func TestKeySet_neverReadIsUnavailable(t *testing.T) {
	t.Parallel()
	key := mustECDSA(t, elliptic.P256())
	i := startIssuer(t, "https://a.test")
	i.answer(http.StatusInternalServerError, "")
	core, logs := observer.New(zap.WarnLevel)
	o := i.options()
	o.Logger, o.Keys.Secret = zap.New(core), rtetest.Secret
	verifier := mustVerifier(t, o)
	for range 5 { // one reading, then answers at once
		verifies(t, verifier, i.sign(t, "one", key, fields()), token.ErrUnavailable)
	}
	if requested := i.requested.Load(); requested != 1 {
		t.Errorf("the key set was read %d times within a second", requested)
	}
	if logs.Len() != 1 || logs.All()[0].Level != zap.ErrorLevel {
		t.Errorf("the log is %v", logs.All())
	}
	// Tokens that need no key of the set are decided as usual.
	verifies(t, verifier, mustHS256(t, with("iss", nil)), nil)
	verifies(t, verifier, mustHS256(t, with("iss", i.name)), token.ErrKey)
	verifies(t, verifier, "garbage", token.ErrMalformed)
	verifies(t, verifier, rtetest.MustSign(t, nil, `{"alg":"none"}`, mustJSON(with("iss", i.name))), token.ErrAlgorithm)
}

// The first client came while the set was being read for the first time, and waited for a second reading.
func TestKeySet_firstClientWaitsForTheFirstReading(t *testing.T) {
	t.Parallel()
	key := mustECDSA(t, elliptic.P256())
	i := startIssuer(t, "https://a.test")
	arrived, release := make(chan struct{}, 8), make(chan struct{})
	set := mustJSON(
		jwkset.JWKSMarshal{Keys: []jwkset.JWKMarshal{mustJWK(t, &key.PublicKey, jwkset.JWKMetadataOptions{KID: "one"})}},
	)
	i.handle(func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-release
		_, _ = w.Write([]byte(set))
	})
	verifier := mustVerifier(t, i.options())
	defer rtetest.Start(t, verifier.Run)()
	<-arrived
	done := make(chan error)
	go func() {
		_, err := verifier.Verify(i.sign(t, "one", key, fields()))
		done <- err
	}()
	eventually(t, "Run and the client wait", func() bool { return verifier.Waiting() == 2 })
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if requested := i.requested.Load(); requested != 1 {
		t.Errorf("the key set was read %d times", requested)
	}
}

func TestKeySet_outagesAreReportedOncePerInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		report := token.ReportFailures(zap.New(core))
		for range 150 { // every two seconds for five minutes
			report()
			time.Sleep(2 * time.Second)
		}
		if n := logs.FilterLevelExact(zap.ErrorLevel).Len(); n != 5 {
			t.Errorf("%d entries in five minutes", n)
		}
		if message := logs.All()[0].Message; !strings.Contains(message, "never read") {
			t.Errorf("the log is %q", message)
		}
	})
}

func TestPublicKeyFile_tooManyKeysOfOneKind(t *testing.T) {
	keys := make([]any, 9)
	for n := range keys {
		keys[n] = &mustECDSA(t, elliptic.P256()).PublicKey
	}
	mustVerifier(t, token.VerifierOptions{Keys: token.KeyOptions{PublicKeyFile: mustPEM(t, keys[1:]...)}})
	_, err := token.NewVerifier(token.VerifierOptions{Keys: token.KeyOptions{PublicKeyFile: mustPEM(t, keys...)}})
	if err == nil || !strings.Contains(err.Error(), "more than 8 keys") {
		t.Errorf("got %v", err)
	}
}

// A reading ended for its callers before its keys were in force. A token that came in between found neither a reading
// nor keys, and waited a second for another reading.
func TestKeySet_readingEndsWithItsKeysInForce(t *testing.T) {
	t.Parallel()
	key := mustECDSA(t, elliptic.P256())
	i := startIssuer(t, "https://a.test")
	good := mustJSON(mustJWK(t, &key.PublicKey, jwkset.JWKMetadataOptions{KID: "one"}))
	i.answer(http.StatusOK, `{"keys":[null,`+good+`]}`)
	var verifier *token.Verifier
	reported := false
	o := i.options()
	core, _ := observer.New(zap.WarnLevel)
	o.Logger = zap.New(core, zap.Hooks(func(zapcore.Entry) error { // of the null, before the keys are in force
		reported = true
		if !verifier.HasKeysOrReading() {
			t.Error("a token would wait for another reading")
		}
		return nil
	}))
	verifier = mustVerifier(t, o)
	verifies(t, verifier, i.sign(t, "one", key, fields()), nil)
	if !reported || !verifier.HasKeysOrReading() {
		t.Errorf("the null is reported: %t", reported)
	}
}
