package node

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/authz/directory"
	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/redis"
	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/hub"
)

// claimNames are the configured names of claims.
func claimNames(c *config.Auth) token.ClaimNames {
	return token.ClaimNames{
		User: c.Claims.User, Organization: c.Claims.Organization, Organizations: c.Claims.Organizations,
		Role: c.Claims.Role, Grants: c.Claims.Grants, TokenID: c.Claims.TokenID,
	}
}

// newVerifier makes the verifier of tokens.
func newVerifier(c *config.Auth, revocations *token.Revocations, logger *zap.Logger, reg prometheus.Registerer) (*token.Verifier, error) {
	var sets []token.KeySetOptions
	for _, text := range c.JWKSURL {
		set, err := token.ParseKeySet(text)
		if err != nil {
			return nil, fmt.Errorf("auth.jwks_url: %w", err)
		}
		sets = append(sets, set)
	}
	verifier, err := token.NewVerifier(token.VerifierOptions{
		KeySets: sets, Secret: c.HMACSecret, PreviousSecret: c.PreviousHMACSecret, PublicKeyFile: c.PublicKeyFile,
		Algorithms: c.Algorithms, Issuers: c.Issuer, Audiences: c.Audience,
		Leeway: c.Leeway, RequireExpiry: c.RequireExpiry, MaxTokenSize: c.MaxTokenBytes, Claims: claimNames(c),
		Revocations: revocations, Logger: logger, Registerer: reg,
	})
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	return verifier, nil
}

// NewSigner makes a signer of tokens that newVerifier's verifier accepts.
func NewSigner(c *config.Auth) *token.Signer {
	return token.NewSigner(c.HMACSecret, first(c.Issuer), first(c.Audience)).WithNames(claimNames(c))
}

// first is the first of several, or nothing.
func first(of []string) string {
	if len(of) == 0 {
		return ""
	}
	return of[0]
}

// newDirectory makes the directory that is configured. run, if it is not nil, keeps it fresh and calls changed when
// something in it is no longer what it was. documents is where a directory in Redis is read.
func newDirectory(c *config.Config, documents directory.DocumentReader, changed func(authz.Change), logger *zap.Logger, reg prometheus.Registerer) (dir authz.Directory, run Task, err error) {
	switch c.Directory.Kind {
	case "claims":
		return directory.FromClaims{}, nil, nil
	case "file":
		file, err := directory.NewFile(directory.FileOptions{Path: c.Directory.File, Changed: changed, Logger: logger, Registerer: reg})
		if err != nil {
			return nil, nil, fmt.Errorf("directory.file: %w", err)
		}
		return file, file.Run, nil
	case "http":
		source, err := directory.NewHTTPSource(directory.HTTPSourceOptions{
			URL: c.Directory.URL, Token: c.Directory.Token, Connections: c.Directory.Concurrency, Logger: logger, Registerer: reg,
		})
		if err != nil {
			return nil, nil, fmt.Errorf("directory.url: %w", err)
		}
		dir, err = newCachedDirectory(&c.Directory, source, logger, reg)
		return dir, nil, err
	default: // "redis"
		dir, err = newCachedDirectory(&c.Directory, directory.NewDocumentSource(documents, logger, reg), logger, reg)
		return dir, nil, err
	}
}

// hasCache reports whether the configured directory reads its source through a cache.
func hasCache(c *config.Directory) bool { return c.Kind == "http" || c.Kind == "redis" }

// newCachedDirectory makes a directory of a source that takes its time.
func newCachedDirectory(c *config.Directory, source directory.Source, logger *zap.Logger, reg prometheus.Registerer) (authz.Directory, error) {
	cached, err := directory.NewCached(directory.CachedOptions{
		Source: source, Timeout: c.Timeout, Concurrency: c.Concurrency,
		KnownTTL: c.KnownTTL, UnknownTTL: c.UnknownTTL, CacheBytes: c.CacheBytes, Logger: logger, Registerer: reg,
	})
	if err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	return cached, nil
}

// newAuthorizer makes the judge over subscriptions. Its Run calls changed when there is another policy.
func newAuthorizer(
	c *config.Config, catalog *events.Catalog, dir authz.Directory, changed func(authz.Change), logger *zap.Logger, reg prometheus.Registerer,
) (*authz.Gate, error) {
	gate, err := authz.NewAuthorizer(authz.AuthorizerOptions{
		Catalog: catalog, Directory: dir, PolicyFile: c.Policy.File, Changed: changed, Logger: logger, Registerer: reg,
	})
	if err != nil {
		return nil, fmt.Errorf("policy.file: %w", err)
	}
	return gate, nil
}

// laneOf names the lane of a topic.
func laneOf(c *config.Redis) func(events.Topic) string {
	layout := backplane.Layout{Lanes: c.Lanes}
	return func(topic events.Topic) string { return layout.Lane(topic.Organization, topic.Entity) }
}

// NewBackplane makes the backplane that is configured: Redis, or none but the process itself, which loses nothing.
func NewBackplane(c *config.Redis, losses backplane.Losses, o backplane.Options) (backplane.Backplane, error) {
	o.Layout = backplane.Layout{Lanes: c.Lanes}
	if len(c.Addresses) == 0 {
		return backplane.NewMemory(o), nil
	}
	options, err := RedisOptions(c, o)
	if err != nil {
		return nil, err
	}
	options.Losses = losses
	return redis.New(options)
}

// RedisOptions are those of a backplane with the configured Redis.
func RedisOptions(c *config.Redis, o backplane.Options) (redis.Options, error) {
	secure, err := newTLS(c)
	if err != nil {
		return redis.Options{}, err
	}
	o.Layout = backplane.Layout{Lanes: c.Lanes}
	return redis.Options{
		Options: o, Addresses: c.Addresses, Username: c.Username, Password: c.Password, DB: c.DB, TLS: secure,
		SentinelMaster: c.SentinelMaster, SentinelUsername: c.SentinelUsername, SentinelPassword: c.SentinelPassword,
		Cluster: c.Cluster, Sharded: c.Sharded, Linger: c.Linger, Watch: c.Watch, ProbeInterval: c.ProbeInterval, ProbeTimeout: c.ProbeTimeout,
		DialTimeout: c.DialTimeout, CommandTimeout: c.CommandTimeout,
		LaneQueue: c.LaneQueueBytes, TotalQueue: c.TotalQueueBytes,
	}, nil
}

// newTLS makes the TLS configuration for Redis; nil: none is wanted.
func newTLS(c *config.Redis) (*tls.Config, error) {
	if !c.TLS.Enabled {
		return nil, nil
	}
	secure := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: c.TLS.ServerName,
		InsecureSkipVerify: c.TLS.InsecureSkipVerify, //nolint:gosec // off by default, and a warning is logged at each start
	}
	if c.TLS.CAFile != "" {
		pem, err := os.ReadFile(c.TLS.CAFile)
		if err != nil {
			return nil, fmt.Errorf("redis.tls.ca_file: %w", err)
		}
		secure.RootCAs = x509.NewCertPool()
		if !secure.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("redis.tls.ca_file: no certificate in it")
		}
	}
	if c.TLS.CertFile != "" {
		certificate, err := tls.LoadX509KeyPair(c.TLS.CertFile, c.TLS.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("redis.tls.cert_file: %w", err)
		}
		secure.Certificates = []tls.Certificate{certificate}
	}
	return secure, nil
}

// NewCatalog makes the catalogue: the built-in events and those of a file.
func NewCatalog(c *config.Events) (*events.Catalog, error) {
	catalog := events.Builtin()
	if c.CatalogFile != "" {
		text, err := os.ReadFile(c.CatalogFile)
		if err != nil {
			return nil, fmt.Errorf("events.catalog_file: %w", err)
		}
		if catalog, err = events.LoadCatalog(text); err != nil {
			return nil, fmt.Errorf("events.catalog_file: %w", err)
		}
	}
	return catalog.Limit(c.MaxBytes), nil
}

// newIngress makes what published messages go through first.
func newIngress(c *config.Events, catalog *events.Catalog, reg prometheus.Registerer) (*events.Ingress, error) {
	unknown, err := events.ParseUnknownPolicy(c.Unknown)
	if err != nil {
		return nil, fmt.Errorf("events.unknown: %w", err)
	}
	validation, err := events.ParseValidation(c.Validation)
	if err != nil {
		return nil, fmt.Errorf("events.validation: %w", err)
	}
	quarantine := c.Quarantine
	if quarantine == 0 {
		quarantine = -1 // none: there is a part of the payload in what is kept
	}
	return events.NewIngress(events.IngressOptions{
		Catalog: catalog, Unknown: unknown, Validation: validation,
		SampleEvery: uint64(c.SampleEvery), Quarantine: quarantine, //nolint:gosec // counts are not negative
		Registerer: reg,
	}), nil
}

// expires says when events are not worth delivering any more; nil: they always are.
func expires(c *config.Events) func(*events.Event) time.Time {
	if !c.Expire {
		return nil
	}
	return func(ev *events.Event) time.Time { return ev.Expires(c.ClockSkew) }
}

// packStyle is how MessagePack clients receive events.
func packStyle(c *config.Config) (style events.PackStyle) {
	if c.MessagePack.Keys == "camel" {
		style |= events.CamelKeys
	}
	if c.MessagePack.Times == "string" {
		style |= events.TextTimes
	}
	return style
}

// TryParts makes the parts that read files, to find out whether it can be done.
func TryParts(c *config.Config) error {
	var wrong []error
	try := func(err error) {
		if err != nil {
			wrong = append(wrong, err)
		}
	}
	_, err := newVerifier(&c.Auth, nil, zap.NewNop(), nil)
	try(err)
	_, _, err = newDirectory(c, nil, nil, zap.NewNop(), nil)
	try(err)
	catalog, err := NewCatalog(&c.Events)
	try(err)
	if err == nil {
		_, err = newAuthorizer(c, catalog, directory.FromClaims{}, nil, zap.NewNop(), nil)
		try(err)
	}
	_, err = newTLS(&c.Redis)
	try(err)
	return errors.Join(wrong...)
}

// snapshotSource is where the hub finds last states; nil: clients get none.
func snapshotSource(c *config.Snapshots, b backplane.Backplane) hub.Snapshots {
	if c.Mode == config.SnapshotsOff {
		return nil
	}
	return b
}
