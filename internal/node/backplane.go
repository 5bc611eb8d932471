package node

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/redis"
	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/hub"
)

// laneOf returns the function that names the lane of a topic.
func laneOf(c *config.Redis) func(events.Topic) string {
	lanes := layout(c)
	return func(topic events.Topic) string { return lanes.Lane(topic.Organization, topic.Entity) }
}

// layout returns how events are spread over lanes, and the names of channels and keys.
func layout(c *config.Redis) backplane.Layout {
	return backplane.Layout{Prefix: c.Prefix, Lanes: c.Lanes}
}

// NewBackplane makes the configured backplane: Redis or, without redis.addresses, the process itself. The in-process
// backplane loses no events and never calls losses.
func NewBackplane(c *config.Redis, losses backplane.Losses, o backplane.Options) (backplane.Backplane, error) {
	return newBackplane(c, losses, nil, o)
}

// newBackplane is NewBackplane with a user and a password that may change; see redis.Options.Login.
func newBackplane(
	c *config.Redis, losses backplane.Losses, login func() (username, password string), o backplane.Options,
) (backplane.Backplane, error) {
	o.Layout = layout(c)
	if len(c.Addresses) == 0 {
		return backplane.NewMemory(o), nil
	}
	options, err := RedisOptions(c, o)
	if err != nil {
		return nil, err
	}
	options.Losses, options.Login = losses, login
	return redis.New(options)
}

// RedisOptions returns the options of a backplane with the configured Redis.
func RedisOptions(c *config.Redis, o backplane.Options) (redis.Options, error) {
	secure, err := newTLS(c)
	if err != nil {
		return redis.Options{}, err
	}
	files := &tlsFiles{config: c, good: secure, log: backplane.NewThrottle(o.Logger)}
	o.Layout = layout(c)
	return redis.Options{
		Options: o, Addresses: c.Addresses, Username: c.Username, Password: c.Password, DB: c.DB,
		NextTLS:        files.next,
		SentinelMaster: c.SentinelMaster, SentinelUsername: c.SentinelUsername, SentinelPassword: c.SentinelPassword,
		Cluster: c.Cluster, Sharded: c.Sharded, Connections: c.Connections,
		Linger: c.Linger, Watch: c.Watch, ProbeInterval: c.ProbeInterval, ProbeTimeout: c.ProbeTimeout,
		DialTimeout: c.DialTimeout, CommandTimeout: c.CommandTimeout,
		LaneQueue: c.LaneQueueBytes, TotalQueue: c.TotalQueueBytes,
	}, nil
}

// tlsFiles are the files of TLS for Redis.
type tlsFiles struct {
	config *config.Redis
	log    *backplane.Throttle

	mu   sync.Mutex
	good *tls.Config // as of the last good version of the files; nil: no TLS
}

// next returns the TLS configuration for the next connection. While the files are faulty, the last good version stays
// in force: a certificate may be renewed at any time.
func (f *tlsFiles) next() *tls.Config {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.good == nil {
		return nil
	}
	secure, err := newTLS(f.config)
	if err != nil {
		f.log.Warn("files of redis.tls refused, the last good version stays in force", func() []zap.Field {
			return []zap.Field{zap.Error(err)}
		})
		return f.good
	}
	f.good = secure
	return secure
}

// newTLS makes the TLS configuration for Redis; nil if redis.tls.enabled is off.
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

// snapshotSource returns where the hub looks for last states; nil if no client gets snapshots.
func snapshotSource(c *config.Snapshots, b backplane.Backplane) hub.Snapshots {
	if c.Mode == config.SnapshotsOff {
		return nil
	}
	return b
}
