package node

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz/watch"
	"github.com/rte-server/rte-server/internal/config"
)

// maxAuthorities bounds the files of TLS for Redis in bytes. A file of all public authorities has about 250 KB.
const maxAuthorities = 4 << 20

// redisTLS are the files of TLS for Redis, see redis.Options.NextTLS. Any goroutine may call next.
type redisTLS struct {
	config  *config.Redis
	metrics *tlsMetrics // nil: none
	log     *zap.Logger

	mu     sync.Mutex
	good   *redisTLSVersion // guarded by mu; the last good version; nil: no TLS
	failed string           // guarded by mu; the last logged error
}

// redisTLSVersion is a version of the files.
type redisTLSVersion struct {
	config *tls.Config
	sum    [sha256.Size]byte // of their bytes
}

// newRedisTLS reads the files for the first time.
func newRedisTLS(c *config.Redis, metrics *tlsMetrics, log *zap.Logger) (*redisTLS, error) {
	good, err := readRedisTLS(c)
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = zap.NewNop()
	}
	f := &redisTLS{config: c, metrics: metrics, log: log}
	f.use(good)
	return f, nil
}

// use puts a version into force. The caller holds mu, or has the only reference.
func (f *redisTLS) use(files *redisTLSVersion) {
	f.good = files
	if f.metrics != nil && files != nil && len(files.config.Certificates) > 0 {
		f.metrics.expiry.WithLabelValues(redisPort).Set(float64(files.config.Certificates[0].Leaf.NotAfter.Unix()))
	}
}

// next returns the configuration of the next connection.
func (f *redisTLS) next() *tls.Config {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.good == nil {
		return nil
	}
	_ = f.readLocked() // an error leaves the last good version in force
	return f.good.config
}

// run reads the files when they change, until ctx ends. So an operator learns of a mistake before a connection needs
// them.
func (f *redisTLS) run(ctx context.Context) error {
	t := &f.config.TLS
	return watch.Files{
		Paths: func() (paths []string) {
			for _, path := range []string{t.CAFile, t.CertFile, t.KeyFile} {
				if path != "" {
					paths = append(paths, path)
				}
			}
			return paths
		},
		Changed: func() error {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.readLocked()
		},
	}.Run(ctx)
}

// readLocked reads the files. A faulty version leaves the last good one in force. It logs an error once, until another
// one occurs.
func (f *redisTLS) readLocked() error {
	read, err := readRedisTLS(f.config)
	switch {
	case err == nil && read.sum == f.good.sum:
		f.failed = ""
	case err == nil:
		f.failed = ""
		f.use(read)
		f.count("ok")
		f.log.Info("files of redis.tls are in force for the next connections")
	case err.Error() != f.failed:
		f.failed = err.Error()
		f.count("refused")
		f.log.Error("files of redis.tls refused, the last good version stays in force", zap.Error(err))
	}
	return err
}

func (f *redisTLS) count(result string) {
	if f.metrics != nil {
		f.metrics.reloads.WithLabelValues(redisPort, result).Inc()
	}
}

// readRedisTLS makes the TLS configuration for Redis; nil: redis.tls.enabled is off.
func readRedisTLS(c *config.Redis) (*redisTLSVersion, error) {
	t := &c.TLS
	if !t.Enabled {
		return nil, nil
	}
	secure := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: t.ServerName,
		InsecureSkipVerify: t.InsecureSkipVerify, //nolint:gosec // off by default, and a warning is logged at each start
	}
	sum := sha256.New()
	read := func(key, path string) ([]byte, error) {
		text, err := watch.ReadFile(path, maxAuthorities)
		if err != nil {
			return nil, fmt.Errorf("redis.tls.%s: %w", key, err)
		}
		fmt.Fprintf(sum, "%s %d\n%s", key, len(text), text)
		return text, nil
	}
	if t.CAFile != "" {
		text, err := read("ca_file", t.CAFile)
		if err != nil {
			return nil, err
		}
		secure.RootCAs = x509.NewCertPool()
		if !secure.RootCAs.AppendCertsFromPEM(text) {
			return nil, errors.New("redis.tls.ca_file: no certificate in it")
		}
	}
	if t.CertFile != "" {
		certificate, err := read("cert_file", t.CertFile)
		if err != nil {
			return nil, err
		}
		key, err := read("key_file", t.KeyFile)
		if err != nil {
			return nil, err
		}
		pair, err := tls.X509KeyPair(certificate, key)
		if err != nil {
			return nil, fmt.Errorf("redis.tls.cert_file: %w", err)
		}
		secure.Certificates = []tls.Certificate{pair}
	}
	return &redisTLSVersion{secure, [sha256.Size]byte(sum.Sum(nil))}, nil
}
