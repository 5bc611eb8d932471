package redis_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/backplanetest"
	"github.com/rte-server/rte-server/internal/backplane/redis"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// A go-redis pool that could not dial ends a second after Close.
func TestMain(m *testing.M) {
	redis.QuietDriver()
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

// mustRun starts a backplane that runs until the test ends.
func mustRun(t testing.TB, o redis.Options) *redis.Backplane {
	t.Helper()
	b, err := redis.New(o)
	if err != nil {
		t.Fatalf("new: %v", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return b
}

// waitHealth waits until a backplane is connected, or is not.
func waitHealth(t testing.TB, b *redis.Backplane, connected bool) {
	t.Helper()
	for deadline := time.Now().Add(rtetest.Patience); b.Health().Connected != connected; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("health is %+v", b.Health())
		}
	}
}

func TestConformance_plain(t *testing.T) {
	conforms(t, redis.Options{Addresses: []string{rtetest.MustStartRedis(t).Addr}})
}

// TLS changes nothing but the connection.
func TestConformance_tls(t *testing.T) {
	addr, roots := mustStartTLS(t)
	conforms(t, redis.Options{Addresses: []string{addr}, TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}})
}

// The servers do not know each other.
func TestConformance_sharded(t *testing.T) {
	o := redis.Options{Sharded: true}
	for range 3 {
		o.Addresses = append(o.Addresses, rtetest.MustStartRedis(t).Addr)
	}
	conforms(t, o)
}

// conforms runs the suite with nodes that have these options.
func conforms(t *testing.T, base redis.Options) {
	t.Helper()
	backplanetest.Test(t, 3, func(t *testing.T, _ string, o backplane.Options) backplane.Backplane {
		t.Helper()
		options := base
		options.Options, options.Linger = o, 20*time.Millisecond
		options.ProbeTimeout, options.CommandTimeout = rtetest.Patience, rtetest.Patience // the machine may be busy
		b := mustRun(t, options)
		waitHealth(t, b, true)
		return b
	})
}

// mustStartTLS starts a server with TLS and returns its address and the certificates to trust.
func mustStartTLS(t *testing.T) (addr string, roots *x509.CertPool) {
	t.Helper()
	certificate := rtetest.MustMakeCertificate(t)
	authority, err := os.ReadFile(certificate.AuthorityFile)
	if err != nil {
		t.Fatalf("read the authority: %v", err)
	}
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	addr = rtetest.MustFreeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	rtetest.MustStartRedis(t, "--tls-port", port, "--tls-auth-clients", "no",
		"--tls-cert-file", certificate.ServerFile, "--tls-key-file", certificate.ServerFile,
		"--tls-ca-cert-file", certificate.AuthorityFile)
	return addr, roots
}

func TestTLS_refusesOtherCertificates(t *testing.T) {
	addr, _ := mustStartTLS(t)
	o := quick(addr)
	o.TLS = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	o.Catalog, o.Sink = events.Builtin(), backplanetest.NewRecorder()
	b := mustRun(t, o)
	waitFor(t, "the certificate is what is wrong", func() bool {
		h := b.Health()
		return !h.Connected && strings.Contains(h.Detail, "certificate")
	})
}
