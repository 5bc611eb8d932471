package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
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

// TestRedisTLS_rotatesUnderAConnectedClient replaces the authority of Redis, the certificate of the node and its key,
// while events come. The connections that Redis ends afterwards need the new files. A faulty version changes nothing.
func TestRedisTLS_rotatesUnderAConnectedClient(t *testing.T) {
	first, second := rtetest.MustMakeCertificate(t), rtetest.MustMakeCertificate(t)
	address := rtetest.MustFreeAddr(t)
	_, port, _ := net.SplitHostPort(address)
	redis := rtetest.MustStartRedis(t, "--tls-port", port, "--tls-cert-file", first.ServerFile, "--tls-key-file",
		first.ServerFile, "--tls-ca-cert-file", first.AuthorityFile, "--tls-auth-clients", "yes")
	admin := redis.Client()
	defer admin.Close()
	do := func(args ...any) {
		t.Helper()
		if err := admin.Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	authority, certificate := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem")
	key := filepath.Join(dir, "key.pem")
	install := func(c *rtetest.Certificate) {
		t.Helper()
		for path, from := range map[string]string{authority: c.AuthorityFile, certificate: c.ServerFile, key: c.ServerFile} {
			text, err := os.ReadFile(from)
			if err != nil {
				t.Fatal(err)
			}
			rtetest.MustReplaceFile(t, path, text)
		}
	}
	install(first)
	r := startReloading(t, map[string]string{
		"redis.addresses": address, "redis.tls.enabled": "true", "redis.tls.ca_file": authority,
		"redis.tls.cert_file": certificate, "redis.tls.key_file": key,
		"resync.window": "1h", "resync.close_window": "1h", // no end of the connection for T0, which nobody publishes
		"limits.outbox_bytes": "16MiB", // the client reads at the end
	})
	r.awaitBackplane()
	if answer := r.client.subscribe(testUser, "UserCallInArrived"); !strings.Contains(answer, `"subscribed":true`) {
		t.Fatal(answer)
	}

	// Events come in the tier with a journal.
	ctx, stop := context.WithCancel(t.Context())
	published := make(chan int, 1)
	go func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		n := 0
		for ; ctx.Err() == nil; n++ {
			<-tick.C
			lane := "rte:org:" + testOrganization
			event := strings.Replace(eventLine(n), "UserStatus", "UserCallInArrived", 1)
			if err := admin.FCall(t.Context(), "rte_publish", []string{"rte:j:{" + lane + "}", "rte:n:{" + lane + "}"},
				lane, event, 5000, 0, "PUBLISH").Err(); err != nil {
				t.Errorf("publish: %v", err)
				break
			}
		}
		published <- n
	}()

	metric := func(result string) string {
		return r.metric(`rte_tls_certificate_reloads_total{port="redis",result="` + result + `"}`)
	}
	expiry := r.metric(`rte_tls_certificate_expiry_timestamp_seconds{port="redis"}`)
	if want := strconv.FormatFloat(float64(first.Server.NotAfter.Unix()), 'g', -1, 64); expiry != want {
		t.Errorf("the certificate expires at %s, want %s", expiry, want)
	}
	do("CONFIG", "SET", "tls-ca-cert-file", second.AuthorityFile, "tls-cert-file", second.ServerFile,
		"tls-key-file", second.ServerFile)
	install(second)
	r.logged("files of redis.tls are in force for the next connections")
	r.cutFromRedis(do, "LADDR", address)

	rtetest.MustReplaceFile(t, certificate, []byte("half of a certif"))
	r.logged("files of redis.tls refused, the last good version stays in force")
	r.cutFromRedis(do, "LADDR", address)
	if ok, refused := metric("ok"), metric("refused"); ok != "1" || refused != "1" {
		t.Errorf("%s versions came into force and %s were refused, want 1 and 1", ok, refused)
	}
	install(first)
	do("CONFIG", "SET", "tls-ca-cert-file", first.AuthorityFile, "tls-cert-file", first.ServerFile,
		"tls-key-file", first.ServerFile)
	r.logged("files of redis.tls are in force for the next connections")
	r.cutFromRedis(do, "LADDR", address)

	stop()
	last := <-published
	for n := range last {
		if got, want := r.client.next(), fmt.Sprintf("0d000000-0000-4000-8000-%012d", n); !strings.Contains(got, want) {
			t.Fatalf("received %s in the place of event %d", got, n)
		}
	}
	r.checkClient()
	t.Logf("%d events came, each once and in order", last)
}
