package node

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/authz/directory"
	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/events"
)

// newVerifier makes the verifier of tokens.
func newVerifier(
	c *config.Auth, revocations *token.Revocations, logger *zap.Logger, reg prometheus.Registerer,
) (*token.Verifier, error) {
	sets, err := c.KeySets()
	if err != nil {
		return nil, err
	}
	requirements, err := c.Requirements()
	if err != nil {
		return nil, err
	}
	roles, err := c.RoleOptions()
	if err != nil {
		return nil, err
	}
	verifier, err := token.NewVerifier(token.VerifierOptions{
		Keys: token.KeyOptions{
			Sets: sets, Secret: c.HMACSecret, PreviousSecret: c.PreviousHMACSecret, PublicKeyFile: c.PublicKeyFile,
			Algorithms: c.Algorithms,
		},
		Require: requirements, Claims: c.ClaimNames(), Roles: roles,
		MaxSize: c.MaxTokenBytes, Revocations: revocations, Logger: logger, Registerer: reg,
	})
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	return verifier, nil
}

// NewSigner makes a signer for a configuration that config.CheckSigner or config.CheckDev has accepted. A verifier with
// the same configuration accepts its tokens.
func NewSigner(c *config.Auth) *token.Signer {
	requirements, _ := c.Requirements()
	roles, _ := c.RoleOptions()
	return token.NewSigner(token.SignerOptions{
		Secret: c.HMACSecret, Require: requirements, Claims: c.ClaimNames(), Roles: roles,
	})
}

// liveDirectory is the directory of a node and the way to keep it fresh.
type liveDirectory struct {
	authz.Directory

	run     Task          // follows changes of the directory, if it can, and probes it
	problem func() string // why it does not answer; empty while it does
	// invalidate forgets what may have changed. nil for a directory without a cache that others could know to be stale.
	invalidate func(authz.Change)
	// setToken replaces directory.token. nil for a directory that needs none.
	setToken func(string)
}

// none is the problem of a part that has none.
func none() string { return "" }

// idle is the task of a part that has nothing to do.
func idle(context.Context) error { return nil }

// newDirectory makes the configured directory. Its task calls changed when an entity is no longer what it was.
// documents reads the documents of a directory in Redis.
func newDirectory(
	c *config.Config, documents directory.DocumentReader, changed func(authz.Change), logger *zap.Logger,
	reg prometheus.Registerer,
) (liveDirectory, error) {
	switch c.Directory.Kind {
	case "claims":
		return liveDirectory{Directory: directory.FromClaims{}, run: idle, problem: none}, nil
	case "file":
		file, err := directory.NewFile(directory.FileOptions{
			Path: c.Directory.File, Changed: changed, Logger: logger, Registerer: reg,
		})
		if err != nil {
			return liveDirectory{}, fmt.Errorf("directory.file: %w", err)
		}
		return liveDirectory{Directory: file, run: file.Run, problem: none}, nil
	case "http":
		source, err := directory.NewHTTPSource(directory.HTTPSourceOptions{
			URL: c.Directory.URL, Token: c.Directory.Token, Connections: c.Directory.Concurrency, Logger: logger,
			Registerer: reg,
		})
		if err != nil {
			return liveDirectory{}, fmt.Errorf("directory.url: %w", err)
		}
		cached, err := newCachedDirectory(&c.Directory, source, logger, reg)
		run := cached.run
		cached.setToken = source.SetToken
		cached.run = func(ctx context.Context) error {
			defer source.Close()
			return run(ctx)
		}
		return cached, err
	default: // "redis"
		return newCachedDirectory(&c.Directory, directory.NewDocumentSource(documents, logger, reg), logger, reg)
	}
}

// newCachedDirectory puts a cache in front of a source that takes its time.
func newCachedDirectory(
	c *config.Directory, source directory.Source, logger *zap.Logger, reg prometheus.Registerer,
) (liveDirectory, error) {
	cached, err := directory.NewCached(directory.CachedOptions{
		Source: source, Timeout: c.Timeout, Concurrency: c.Concurrency,
		KnownTTL: c.KnownTTL, UnknownTTL: c.UnknownTTL, CacheBytes: c.CacheBytes, Logger: logger, Registerer: reg,
	})
	if err != nil {
		return liveDirectory{}, fmt.Errorf("directory: %w", err)
	}
	return liveDirectory{
		Directory: cached, run: cached.Run, problem: cached.Problem, invalidate: cached.Invalidate,
	}, nil
}

// newGate makes the gate that decides about subscriptions. Its Run calls changed when another policy is in force.
func newGate(
	c *config.Config, catalog *events.Catalog, dir authz.Directory, changed func(authz.Change),
	logger *zap.Logger, reg prometheus.Registerer,
) (*authz.Gate, error) {
	gate, err := authz.NewAuthorizer(authz.AuthorizerOptions{
		Catalog: catalog, Directory: dir, PolicyFile: c.Policy.File, Changed: changed, Logger: logger, Registerer: reg,
	})
	if err != nil {
		return nil, fmt.Errorf("policy.file: %w", err)
	}
	return gate, nil
}
