package token

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Defaults and bounds of VerifierOptions.
const (
	DefaultMaxSize = 16 << 10
	maxKeyFile     = 1 << 20
	shortSecret    = 32 // bytes; RFC 7518, section 3.2 requires at least the size of the hash
)

// VerifierOptions configure which tokens a Verifier accepts and how it reads them.
type VerifierOptions struct {
	Keys    KeyOptions
	Require Requirements
	Claims  ClaimNames
	Roles   RoleOptions
	// MaxSize is the largest accepted token, in bytes. Default DefaultMaxSize.
	MaxSize int
	// Revocations are checked for every token. Default: no token is revoked.
	Revocations *Revocations
	// CacheSize is the memory for verified tokens, in bytes. Default DefaultCacheSize; negative: no cache.
	CacheSize int

	Logger     *zap.Logger           // default: none
	Registerer prometheus.Registerer // default: none
}

// KeyOptions are the keys that verify tokens. At least one is required.
type KeyOptions struct {
	// Secret is the key of the HS algorithms.
	Secret string
	// PreviousSecret is accepted in addition to Secret while it is being replaced.
	PreviousSecret string
	// PublicKeyFile is a PEM file with the keys of the RS, PS, ES and EdDSA algorithms. Run reads it again when it
	// changes.
	PublicKeyFile string
	// Sets are key sets behind URLs, with the keys of the RS, PS, ES and EdDSA algorithms. They are read when they are
	// first needed, periodically while Run runs, and when a token names an unknown key. While a set is unavailable, its
	// last good version stays in force.
	Sets []KeySetOptions
	// Algorithms are the accepted algorithms. Empty: all that the configured keys allow. EdDSA and Ed25519 (RFC 9864)
	// are two names of one.
	Algorithms []string
}

// withDefaults fills in the defaults.
func (o VerifierOptions) withDefaults() VerifierOptions {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.MaxSize == 0 {
		o.MaxSize = DefaultMaxSize
	}
	if o.CacheSize == 0 {
		o.CacheSize = DefaultCacheSize
	}
	return o
}

// check finds mistakes that can be found without reading files.
func (o *VerifierOptions) check() error {
	switch {
	case o.Keys.Secret == "" && o.Keys.PublicKeyFile == "" && len(o.Keys.Sets) == 0:
		return errors.New("token: VerifierOptions.Keys is required: a secret, a public key file or a key set")
	case o.Keys.Secret == "" && o.Keys.PreviousSecret != "":
		return errors.New("token: VerifierOptions.Keys.PreviousSecret needs Secret")
	case o.MaxSize < 0:
		return errors.New("token: VerifierOptions.MaxSize is negative")
	}
	for i := range o.Keys.Sets {
		if err := o.Keys.Sets[i].check(); err != nil {
			return fmt.Errorf("token: VerifierOptions.Keys.Sets: %w", err)
		}
	}
	if err := o.Roles.Check(); err != nil {
		return fmt.Errorf("token: VerifierOptions.Roles: %w", err)
	}
	return o.Require.check(o.Keys.Sets)
}
