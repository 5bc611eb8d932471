package token

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz/watch"
)

// Defaults and bounds of VerifierOptions.
const (
	DefaultMaxSize = 16 << 10
	maxKeyFile     = 1 << 20
	shortSecret    = 32 // bytes; RFC 7518, section 3.2 wants at least the size of the hash
)

// VerifierOptions say which tokens are accepted. At least one key is needed.
type VerifierOptions struct {
	// Secret is the key of the HS algorithms.
	Secret string
	// PreviousSecret is accepted besides Secret while it is being replaced.
	PreviousSecret string
	// PublicKeyFile is a PEM file with the keys of the RS, PS, ES and EdDSA algorithms. It is watched.
	PublicKeyFile string
	// Algorithms is the list of accepted algorithms. Empty: all that the configured keys can be used with.
	Algorithms []string
	// KeySets hold the keys of the RS, PS, ES and EdDSA algorithms behind URLs. They are read when they are first needed,
	// from time to time while Run runs, and when a token names a key that they did not have. While one is away, its last
	// good version stays in force.
	KeySets []KeySetOptions
	// Issuers are the accepted values of iss, besides those that KeySets name. Empty: iss is not looked at.
	Issuers []string
	// Audiences are the values of which aud must contain one. Empty: aud is not looked at.
	Audiences []string
	// Leeway is by how much the clock of an issuer may differ from ours. Default 0.
	Leeway time.Duration
	// RequireExpiry refuses tokens without exp.
	RequireExpiry bool
	// MaxTokenSize is in bytes. Default DefaultMaxSize.
	MaxTokenSize int
	// Claims are the names of the claims.
	Claims ClaimNames
	// Revocations are looked at for every token. Default: nothing is revoked.
	Revocations *Revocations
	// CacheSize is how many bytes may be spent on remembering verified tokens. Default DefaultCacheSize; negative: none.
	CacheSize int

	Logger     *zap.Logger           // default: none
	Registerer prometheus.Registerer // default: none
}

// Verifier turns tokens into Claims. Verify may be called from any goroutine, whether Run runs or not; Run keeps the
// keys fresh.
type Verifier struct {
	options   VerifierOptions
	names     ClaimNames
	headers   knownHeaders
	validator *jwt.Validator
	secrets   []jwt.VerificationKey // []byte each
	pem       *watch.File           // nil: no file
	pemKeys   atomic.Pointer[[]crypto.PublicKey]
	keySets   []*keySet
	cache     *cache // nil: none
	metrics   *verifierMetrics
}

// NewVerifier checks the options and reads the key file. An error says which option is wrong and quotes no secret.
func NewVerifier(o VerifierOptions) (*Verifier, error) {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.MaxTokenSize == 0 {
		o.MaxTokenSize = DefaultMaxSize
	}
	if o.CacheSize == 0 {
		o.CacheSize = DefaultCacheSize
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	algorithms, err := allowed(o.Algorithms, o.Secret != "", o.PublicKeyFile != "" || len(o.KeySets) > 0)
	if err != nil {
		return nil, err
	}
	o.Algorithms = algorithms
	v := &Verifier{
		options:   o,
		names:     o.Claims.withDefaults(),
		validator: jwt.NewValidator(validation(&o)...),
		metrics:   newVerifierMetrics(o.Registerer),
	}
	if o.CacheSize > 0 {
		v.cache = newCache(o.CacheSize, newCacheMetrics(o.Registerer))
	}
	if err := v.prepareKeys(); err != nil {
		return nil, err
	}
	return v, nil
}

// check finds mistakes that need no reading of files.
func (o *VerifierOptions) check() error {
	switch {
	case o.Secret == "" && o.PublicKeyFile == "" && len(o.KeySets) == 0:
		return errors.New("no key: a secret, a public key file or a key set is needed")
	case o.Secret == "" && o.PreviousSecret != "":
		return errors.New("a previous secret without a secret")
	case o.Leeway < 0:
		return errors.New("leeway: negative")
	case o.MaxTokenSize < 0:
		return errors.New("token size: negative")
	}
	for i := range o.KeySets {
		if err := o.KeySets[i].check(); err != nil {
			return err
		}
	}
	return nil
}

// prepareKeys makes the places where keys are found.
func (v *Verifier) prepareKeys() error {
	o := &v.options
	for _, secret := range []string{o.Secret, o.PreviousSecret} {
		if secret == "" {
			continue
		}
		if len(secret) < shortSecret {
			o.Logger.Warn("a token secret is short", zap.Int("bytes", len(secret)), zap.Int("recommended", shortSecret))
		}
		v.secrets = append(v.secrets, []byte(secret))
	}
	if len(o.KeySets) > 0 {
		metrics := newKeySetMetrics(o.Registerer)
		for _, set := range o.KeySets {
			if set.insecure() {
				o.Logger.Warn("a key set is read without TLS", zap.String("url", set.URL))
			}
			v.keySets = append(v.keySets, newKeySet(set, v.forget, o.Logger, metrics))
		}
	}
	if o.PublicKeyFile == "" {
		return nil
	}
	file, err := watch.New(watch.Options{
		Path: o.PublicKeyFile, Limit: maxKeyFile, Load: v.loadPEM, Name: "keys", Logger: o.Logger, Registerer: o.Registerer,
	})
	if err != nil {
		return fmt.Errorf("public key file: %w", err)
	}
	v.pem = file
	return nil
}

// validation are the checks that the JWT library makes of the registered claims.
func validation(o *VerifierOptions) []jwt.ParserOption {
	options := []jwt.ParserOption{jwt.WithLeeway(o.Leeway)}
	if o.RequireExpiry {
		options = append(options, jwt.WithExpirationRequired())
	}
	if len(o.Audiences) > 0 {
		options = append(options, jwt.WithAudience(o.Audiences...))
	}
	return options
}

// Run keeps the keys fresh until ctx ends. It returns nil.
func (v *Verifier) Run(ctx context.Context) error {
	var watchers sync.WaitGroup
	if v.pem != nil {
		watchers.Go(func() { _ = v.pem.Run(ctx) })
	}
	for _, set := range v.keySets {
		watchers.Go(func() { set.run(ctx) })
	}
	<-ctx.Done()
	watchers.Wait()
	return nil
}

// Verify checks a token in compact form (RFC 7515, section 7.1) and returns what it says about its bearer. The error
// is or wraps a Error and carries nothing of the token. It may wait for a key set, for seconds, if the token names
// a key that is not known.
func (v *Verifier) Verify(token string) (*Claims, error) {
	claims, err := v.remembered(token)
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

// remembered is verify for tokens that were not verified before.
func (v *Verifier) remembered(text string) (*Claims, error) {
	switch {
	case text == "":
		return nil, ErrMissing
	case len(text) > v.options.MaxTokenSize:
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
		until = claims.ExpiresAt.Add(v.options.Leeway)
	}
	v.cache.put(hash, generation, claims, len(text), until)
	return claims, nil
}

// forget drops what was verified by keys that may no longer be accepted.
func (v *Verifier) forget() {
	if v.cache != nil {
		v.cache.forget()
	}
}

// verify checks a token with the keys that are known, and if none of them signed it and it names one that a key set
// did not have, once more after that set was read again: an issuer may begin to use another key at any time.
func (v *Verifier) verify(text string) (*Claims, error) {
	var stale []*keySet
	claims, err := v.attempt(text, &stale)
	if len(stale) == 0 || !errors.Is(err, ErrKey) && !errors.Is(err, ErrSignature) {
		return claims, err
	}
	var readings sync.WaitGroup
	for _, set := range stale {
		readings.Go(set.refresh)
	}
	readings.Wait()
	return v.attempt(text, &stale)
}

// attempt checks a token with the keys that are known. It adds to stale the key sets that do not have the key which the
// token names.
func (v *Verifier) attempt(text string, stale *[]*keySet) (*Claims, error) {
	t, err := parseToken(text, &v.headers)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(v.options.Algorithms, t.header.method.Alg()) {
		return nil, ErrAlgorithm
	}
	keys, err := v.keys(t.header, t.payload.issuer, stale)
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
	if err := v.validator.Validate(&t.payload); err != nil {
		return nil, v.reason(&t.payload, err)
	}
	return t.payload.claims(&v.names)
}

// keys are the known keys that may have signed a token of the issuer; without an error there is at least one.
func (v *Verifier) keys(h *header, issuer string, stale *[]*keySet) ([]jwt.VerificationKey, error) {
	algorithm := h.method.Alg()
	sets := v.keySetsOf(issuer)
	var keys []jwt.VerificationKey
	if issuer == "" || len(sets) == 0 { // the issuer has no keys of its own
		if err := v.acceptIssuer(issuer); err != nil {
			return nil, err
		}
		sets, keys = v.keySetsOf(""), v.localKeys(algorithm)
	}
	for _, set := range sets {
		if slices.Contains(hmacAlgorithms, algorithm) {
			break
		}
		found, known := set.find(h.keyID, algorithm)
		keys = append(keys, found...)
		if !known {
			*stale = append(*stale, set)
		}
	}
	if len(keys) == 0 {
		return nil, ErrKey
	}
	return keys, nil
}

// keySetsOf are the key sets that are of one issuer alone; with an empty issuer, those that are of none.
func (v *Verifier) keySetsOf(issuer string) []*keySet {
	var sets []*keySet
	for _, set := range v.keySets {
		if set.Issuer == issuer {
			sets = append(sets, set)
		}
	}
	return sets
}

// acceptIssuer says whether the keys that are not of one issuer alone may verify tokens of this one.
func (v *Verifier) acceptIssuer(issuer string) error {
	if len(v.options.Issuers) > 0 && !slices.Contains(v.options.Issuers, issuer) {
		return ErrIssuer
	}
	if len(v.secrets) == 0 && v.pem == nil && len(v.keySetsOf("")) == 0 {
		return ErrIssuer
	}
	return nil
}

// localKeys are the keys from the configuration that fit.
func (v *Verifier) localKeys(algorithm string) []jwt.VerificationKey {
	if slices.Contains(hmacAlgorithms, algorithm) {
		return slices.Clip(v.secrets)
	}
	if public := v.pemKeys.Load(); public != nil {
		return fitting(algorithm, *public)
	}
	return nil
}

func (v *Verifier) loadPEM(data []byte) error {
	keys, err := parsePEM(data)
	if err != nil {
		return err
	}
	v.pemKeys.Store(&keys)
	v.forget()
	return nil
}

// reason is the Error for an error of the JWT library's validator.
func (v *Verifier) reason(p *payload, err error) error {
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return ErrExpired
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return ErrNotYetValid
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return ErrAudience
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return v.missing(p)
	default:
		return ErrClaims
	}
}

// missing tells which of the required claims is absent.
func (v *Verifier) missing(p *payload) error {
	if v.options.RequireExpiry && p.expiresAt == nil {
		return badClaim("exp", "absent")
	}
	return ErrAudience
}
