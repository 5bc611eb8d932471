package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// mustCertificate writes a self-signed certificate for 127.0.0.1, and its key.
func mustCertificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, data []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", certificate), write("key.pem", "PRIVATE KEY", private)
}

// TestPublish_verifiesRedisWithTLS publishes to a Redis with a certificate, which verifies that of its client.
func TestPublish_verifiesRedisWithTLS(t *testing.T) {
	cert, key := mustCertificate(t)
	address := rtetest.MustFreeAddr(t)
	_, port, _ := net.SplitHostPort(address)
	rtetest.MustStartRedis(t, "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file",
		cert,
		"--requirepass", "a password", "--tls-auth-clients", "yes")
	args := []string{"publish", "--redis.addresses=" + address, "--redis.password=a password", "--redis.tls.enabled"}
	identity := []string{"--redis.tls.cert_file=" + cert, "--redis.tls.key_file=" + key}
	for _, test := range []struct {
		name string
		args []string
		ok   bool
	}{
		{"trusted", append(identity, "--redis.tls.ca_file="+cert), true},
		{
			"trusted by another name", append(identity, "--redis.tls.ca_file="+cert, "--redis.tls.server_name=redis.example"),
			false,
		},
		{"not trusted", identity, false},
		{"not trusted and used anyway", append(identity, "--redis.tls.insecure_skip_verify"), true},
		{"not known to Redis", []string{"--redis.tls.ca_file=" + cert}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			stdout, stderr, err := command(
				t, mustLine(t, "../../testdata/events/QueueStatus.json"), append(args, test.args...)...,
			)
			if (err == nil) != test.ok || strings.Contains(stdout, "1: published") != test.ok {
				t.Errorf("ended with %v\n%s%s", err, stdout, stderr)
			}
			if strings.Contains(stdout+stderr, "a password") {
				t.Error("the password is in the output")
			}
		})
	}
}
