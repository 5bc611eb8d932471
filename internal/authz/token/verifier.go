package token

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz/watch"
)

// maxCandidates is the largest number of keys that are tried for one token. It bounds what a token costs that names no
// key: 64 RSA keys would take 2.8 ms of CPU time, before anything about the client is known.
const maxCandidates = 8

// Verifier turns tokens into Claims. Verify may be called from any goroutine, with or without Run; Run keeps the keys
// fresh.
type Verifier struct {
	options   VerifierOptions
	paths     claimPaths
	required  []requiredClaim
	roles     *roleReader
	headers   knownHeaders
	validator *jwt.Validator
	secrets   atomic.Pointer[secretKeys]
	pem       *watch.File // nil: no file
	pemKeys   atomic.Pointer[[]crypto.PublicKey]
	keySets   []*keySet
	issuers   *issuers
	cache     *cache // nil: none
	metrics   *verifierMetrics
}

// NewVerifier checks the options and reads the key file. The error names the wrong option and contains no secret.
func NewVerifier(o VerifierOptions) (*Verifier, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	if len(o.Require.AudienceClaims) == 0 {
		o.Require.AudienceClaims = []string{claimAudience}
	}
	v := &Verifier{
		options: o, validator: jwt.NewValidator(validation(&o.Require)...), metrics: newVerifierMetrics(o.Registerer),
	}
	if err := v.SetSecrets(o.Keys.Secret, o.Keys.PreviousSecret); err != nil {
		return nil, err
	}
	var err error
	if v.paths, err = o.Claims.parse(); err != nil {
		return nil, err
	}
	if v.required, err = o.Require.parse(); err != nil {
		return nil, err
	}
	v.roles = newRoleReader(v.paths.role, &o.Roles, o.Logger)
	if o.CacheSize > 0 {
		v.cache = newCache(o.CacheSize, newCacheMetrics(o.Registerer))
	}
	if err := v.prepareKeys(); err != nil {
		return nil, err
	}
	return v, nil
}

// prepareKeys reads the configured keys and prepares the key sets.
func (v *Verifier) prepareKeys() error {
	o := &v.options
	if len(o.Keys.Sets) > 0 {
		metrics := newKeySetMetrics(o.Registerer)
		for _, set := range o.Keys.Sets {
			if set.insecure() {
				o.Logger.Warn("a key set is read without TLS", zap.String("url", set.URL))
			}
			v.keySets = append(v.keySets, newKeySet(set, v.forget, o.Logger, metrics))
		}
	}
	v.issuers = newIssuers(&o.Require, v.keySets)
	if o.Keys.PublicKeyFile == "" {
		return nil
	}
	file, err := watch.New(watch.Options{
		Path: o.Keys.PublicKeyFile, Limit: maxKeyFile, Load: v.loadPEM, Name: "keys",
		Logger: o.Logger, Registerer: o.Registerer,
	})
	if err != nil {
		return fmt.Errorf("public key file: %w", err)
	}
	v.pem = file
	return nil
}

// validation returns the checks of the registered times, which the JWT library makes.
func validation(r *Requirements) []jwt.ParserOption {
	options := []jwt.ParserOption{jwt.WithLeeway(r.Leeway)}
	if r.Expiry {
		options = append(options, jwt.WithExpirationRequired())
	}
	return options
}

// Run keeps the keys fresh until ctx ends. It returns nil.
func (v *Verifier) Run(ctx context.Context) error {
	var running sync.WaitGroup
	if v.pem != nil {
		running.Go(func() { _ = v.pem.Run(ctx) }) // returns nil
	}
	for _, set := range v.keySets {
		running.Go(func() { set.run(ctx) })
	}
	<-ctx.Done()
	running.Wait()
	return nil
}

// KeysProblem names the key sets that were never read; empty if there are none. It returns at once.
func (v *Verifier) KeysProblem() string {
	var missing []string
	for _, set := range v.keySets {
		if !set.known() {
			missing = append(missing, set.host())
		}
	}
	if len(missing) == 0 {
		return ""
	}
	return "never read: the key set of " + strings.Join(missing, ", ")
}

// HasKeys reports whether the verifier has a key, so that it can accept some token. It returns at once.
func (v *Verifier) HasKeys() bool {
	return len(v.secrets.Load().secrets) > 0 || v.pem != nil || slices.ContainsFunc(v.keySets, (*keySet).known)
}

// Verify checks a token in compact form (RFC 7515, section 7.1) and returns its claims. The error is or wraps an Error
// and contains nothing of the token. Verify may wait for a key set, for seconds, if the token names an unknown key.
func (v *Verifier) Verify(token string) (*Claims, error) {
	claims, err := v.cached(token)
	if err == nil && v.options.Revocations != nil && v.options.Revocations.Check(claims) {
		err = ErrRevoked
	}
	if err != nil {
		v.metrics.tokens[Reason(err)].Inc()
		return nil, err
	}
	v.metrics.tokens[tokenOK].Inc()
	return claims, nil
}

// cached returns the claims of a token from the cache, or verifies it.
func (v *Verifier) cached(text string) (*Claims, error) {
	switch {
	case text == "":
		return nil, ErrMissing
	case len(text) > v.options.MaxSize:
		return nil, ErrTooLarge
	case v.cache == nil:
		return v.verify(text)
	}
	hash := hashOf(text)
	claims, generation := v.cache.get(hash)
	if claims != nil {
		return claims, nil
	}
	claims, err := v.verify(text)
	if err != nil {
		return nil, err
	}
	until := time.Now().Add(withoutExpiry)
	if !claims.ExpiresAt.IsZero() {
		until = claims.ExpiresAt.Add(v.options.Require.Leeway)
	}
	v.cache.put(hash, generation, claims, len(text), until)
	return claims, nil
}

// forget empties the cache, when a key may no longer be accepted.
func (v *Verifier) forget() {
	if v.cache != nil {
		v.cache.forget()
	}
}

// verify checks a token with the known keys. If none of them signed it and it names a key that a key set did not have,
// verify reads that set again and retries: an issuer may use a new key at any time.
func (v *Verifier) verify(text string) (*Claims, error) {
	var stale []*keySet
	claims, err := v.attempt(text, &stale)
	if len(stale) == 0 || !unverified(err) {
		return claims, err
	}
	var readings sync.WaitGroup
	for _, set := range stale {
		readings.Go(set.refresh)
	}
	readings.Wait()
	var again []*keySet
	claims, err = v.attempt(text, &again)
	if unverified(err) && slices.ContainsFunc(stale, func(set *keySet) bool { return !set.known() }) {
		return nil, ErrUnavailable
	}
	return claims, err
}

// unverified reports whether no known key verifies a token.
func unverified(err error) bool { return errors.Is(err, ErrKey) || errors.Is(err, ErrSignature) }

// attempt checks a token with the known keys. It adds the key sets to stale that do not have the key of the token.
func (v *Verifier) attempt(text string, stale *[]*keySet) (*Claims, error) {
	t, err := parseCompact(text, &v.headers)
	if err != nil {
		return nil, err
	}
	local := v.secrets.Load()
	if !slices.Contains(local.algorithms, t.header.method.Alg()) {
		return nil, ErrAlgorithm
	}
	keys, err := v.keys(local, t.header, t.payload.issuer, stale)
	if err != nil {
		return nil, err
	}
	if !t.signedBy(keys) {
		return nil, ErrSignature
	}
	if !t.header.acceptable {
		return nil, ErrUnacceptable
	}
	v.headers.put(t.segment, t.header)
	return v.claims(&t.payload)
}

// claims checks the requirements for a signed payload and returns its claims.
func (v *Verifier) claims(p *payload) (*Claims, error) {
	if err := v.validator.Validate(p); err != nil {
		return nil, timeError(err)
	}
	if err := v.options.Require.checkAudience(p); err != nil {
		return nil, err
	}
	for i := range v.required {
		if err := v.required[i].check(p); err != nil {
			return nil, err
		}
	}
	if err := v.options.Require.checkScopes(p); err != nil {
		return nil, err
	}
	claims, err := p.claims(&v.paths)
	if err != nil {
		return nil, err
	}
	if claims.Role, err = v.roles.role(p); err != nil {
		return nil, err
	}
	return claims, nil
}

// keys returns the known keys that may have signed a token of the issuer, at most maxCandidates. Without an error there
// is at least one.
func (v *Verifier) keys(
	local *secretKeys, h *header, issuer string, stale *[]*keySet,
) ([]jwt.VerificationKey, error) {
	algorithm := h.method.Alg()
	sets := v.issuers.sets[issuer]
	var keys []jwt.VerificationKey
	if issuer == "" || len(sets) == 0 { // the issuer has no keys of its own
		sets = v.issuers.general
		if !v.issuers.accepts(issuer) || len(local.secrets) == 0 && v.pem == nil && len(sets) == 0 {
			return nil, &ClaimError{ErrIssuer, "iss", "absent or not accepted"}
		}
		keys = v.localKeys(local, algorithm)
	}
	if !slices.Contains(hmacAlgorithms, algorithm) {
		var named, unnamed []jwt.VerificationKey
		for _, set := range sets {
			var known bool
			if named, unnamed, known = set.find(h.keyID, algorithm, named, unnamed); !known {
				*stale = append(*stale, set)
			}
		}
		keys = append(append(named, keys...), unnamed...) // keys with the name that the token gives are tried first
	}
	if len(keys) == 0 {
		return nil, ErrKey
	}
	return keys[:min(len(keys), maxCandidates)], nil
}

// localKeys returns the keys of the configuration that fit.
func (v *Verifier) localKeys(local *secretKeys, algorithm string) []jwt.VerificationKey {
	if slices.Contains(hmacAlgorithms, algorithm) {
		return slices.Clip(local.secrets)
	}
	if public := v.pemKeys.Load(); public != nil {
		return fitting(algorithm, *public)
	}
	return nil
}

// loadPEM puts a version of the key file into force.
func (v *Verifier) loadPEM(data []byte) error {
	keys, err := parsePEM(data)
	if err != nil {
		return err
	}
	v.pemKeys.Store(&keys)
	v.forget()
	return nil
}

// timeError returns the Error for an error of the JWT library's validator, which checks times alone.
func timeError(err error) error {
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return &ClaimError{ErrExpired, "exp", "past"}
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return &ClaimError{ErrNotYetValid, "nbf", "in the future"}
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return badClaim("exp", "absent")
	default:
		return ErrClaims
	}
}
