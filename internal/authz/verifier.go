package authz

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Defaults and bounds of VerifierOptions.
const (
	DefaultMaxTokenSize = 16 << 10
	maxKeyFile          = 1 << 20
	shortSecret         = 32 // bytes; RFC 7518, section 3.2 wants at least the size of the hash
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
	// Issuers are the accepted values of iss. Empty: iss is not looked at.
	Issuers []string
	// Audiences are the values of which aud must contain one. Empty: aud is not looked at.
	Audiences []string
	// Leeway is by how much the clock of an issuer may differ from ours. Default 0.
	Leeway time.Duration
	// RequireExpiry refuses tokens without exp.
	RequireExpiry bool
	// MaxTokenSize is in bytes. Default DefaultMaxTokenSize.
	MaxTokenSize int
	// Claims are the names of the claims.
	Claims ClaimNames

	Logger     *zap.Logger           // default: none
	Registerer prometheus.Registerer // default: none
}

// Verifier turns tokens into Claims. Verify may be called from any goroutine, whether Run runs or not; Run keeps the
// keys fresh.
type Verifier struct {
	options   VerifierOptions
	names     ClaimNames
	parser    *jwt.Parser
	validator *jwt.Validator
	secrets   []jwt.VerificationKey // []byte each
	pem       *watchedFile          // nil: no file
	pemKeys   atomic.Pointer[[]crypto.PublicKey]
	metrics   *verifierMetrics
}

// NewVerifier checks the options and reads the key file. An error says which option is wrong and quotes no secret.
func NewVerifier(o VerifierOptions) (*Verifier, error) {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.MaxTokenSize == 0 {
		o.MaxTokenSize = DefaultMaxTokenSize
	}
	if o.Secret == "" && o.PublicKeyFile == "" {
		return nil, errors.New("no key: a secret or a public key file is needed")
	}
	if o.Secret == "" && o.PreviousSecret != "" {
		return nil, errors.New("a previous secret without a secret")
	}
	if o.Leeway < 0 {
		return nil, errors.New("leeway: negative")
	}
	algorithms, err := allowed(o.Algorithms, o.Secret != "", o.PublicKeyFile != "")
	if err != nil {
		return nil, err
	}
	o.Algorithms = algorithms
	v := &Verifier{
		options: o,
		names:   o.Claims.withDefaults(),
		parser: jwt.NewParser(jwt.WithValidMethods(algorithms), jwt.WithStrictDecoding(),
			jwt.WithoutClaimsValidation()), // they are validated below, with a payload that is never nil
		validator: jwt.NewValidator(validation(&o)...),
		metrics:   newVerifierMetrics(o.Registerer),
	}
	for _, secret := range []string{o.Secret, o.PreviousSecret} {
		if secret == "" {
			continue
		}
		if len(secret) < shortSecret {
			o.Logger.Warn("a token secret is short", zap.Int("bytes", len(secret)), zap.Int("recommended", shortSecret))
		}
		v.secrets = append(v.secrets, []byte(secret))
	}
	if o.PublicKeyFile != "" {
		v.pem = &watchedFile{
			path: o.PublicKeyFile, limit: maxKeyFile, load: v.loadPEM,
			logger: o.Logger, metrics: newWatchMetrics(o.Registerer, "keys"),
		}
		if err := v.pem.read(); err != nil {
			return nil, fmt.Errorf("public key file: %w", err)
		}
	}
	return v, nil
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
	if v.pem != nil {
		v.pem.run(ctx)
		return nil
	}
	<-ctx.Done()
	return nil
}

// Verify checks a token in compact form (RFC 7515, section 7.1) and returns what it says about its bearer. The error
// is or wraps a TokenError and carries nothing of the token.
func (v *Verifier) Verify(token string) (*Claims, error) {
	claims, err := v.verify(token)
	if err != nil {
		v.metrics.tokens[Reason(err)].Inc()
		return nil, err
	}
	v.metrics.tokens[tokenOK].Inc()
	return claims, nil
}

func (v *Verifier) verify(text string) (*Claims, error) {
	switch {
	case text == "":
		return nil, ErrTokenMissing
	case len(text) > v.options.MaxTokenSize:
		return nil, ErrTokenTooLarge
	}
	p := &payload{}
	token, err := v.parser.ParseWithClaims(text, p, v.keys)
	if err != nil {
		return nil, v.reason(token, err)
	}
	if err := acceptable(token.Header); err != nil {
		return nil, err
	}
	if len(v.options.Issuers) > 0 && !slices.Contains(v.options.Issuers, p.issuer) {
		return nil, ErrTokenBadIssuer
	}
	if err := v.validator.Validate(p); err != nil {
		return nil, v.reason(token, err)
	}
	return p.claims(&v.names)
}

// keys are the keys that may have signed the token. Nothing in its header says where to find them: jku, jwk, x5u and
// x5c are not looked at.
func (v *Verifier) keys(token *jwt.Token) (any, error) {
	var keys []jwt.VerificationKey
	if algorithm := token.Method.Alg(); slices.Contains(hmacAlgorithms, algorithm) {
		keys = v.secrets
	} else if public := v.pemKeys.Load(); public != nil {
		keys = fitting(algorithm, *public)
	}
	if len(keys) == 0 {
		return nil, ErrTokenKey
	}
	return jwt.VerificationKeySet{Keys: keys}, nil
}

func (v *Verifier) loadPEM(data []byte) error {
	keys, err := parsePEM(data)
	if err != nil {
		return err
	}
	v.pemKeys.Store(&keys)
	return nil
}

// reason is the TokenError for an error of the JWT library, whose text may quote the token and is dropped.
func (v *Verifier) reason(token *jwt.Token, err error) error {
	var own TokenError
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, jwt.ErrTokenMalformed):
		return ErrTokenMalformed
	case token != nil && (token.Method == nil || !slices.Contains(v.options.Algorithms, token.Method.Alg())):
		return ErrTokenAlgorithm
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return ErrTokenSignature
	case errors.Is(err, jwt.ErrTokenExpired):
		return ErrTokenExpired
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return ErrTokenNotYetValid
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return ErrTokenBadAudience
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return v.missing(token)
	default:
		return ErrTokenBadClaims
	}
}

// missing tells which of the required claims is absent.
func (v *Verifier) missing(token *jwt.Token) error {
	if p, ok := token.Claims.(*payload); ok && v.options.RequireExpiry && p.expiresAt == nil {
		return badClaim("exp", "absent")
	}
	return ErrTokenBadAudience
}

// acceptable refuses headers that change the meaning of the token: critical extensions (RFC 7515, section 4.1.11), of
// which none is supported, and types of tokens that are no access tokens (RFC 8725, section 3.11).
func acceptable(header map[string]any) error {
	if _, critical := header["crit"]; critical {
		return ErrTokenUnacceptable
	}
	typ, given := header["typ"]
	if !given {
		return nil
	}
	name, _ := typ.(string)
	switch strings.TrimPrefix(strings.ToLower(name), "application/") {
	case "jwt", "at+jwt":
		return nil
	default:
		return ErrTokenUnacceptable
	}
}
