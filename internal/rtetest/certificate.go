package rtetest

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
	"testing"
	"time"
)

// Certificate is the certificate of a server or a client on the loopback address, and the authority that signed it.
// Both are valid for an hour.
type Certificate struct {
	// AuthorityFile is the path of the authority's certificate in PEM.
	AuthorityFile string
	// ServerFile is the path of the server's certificate and key in PEM.
	ServerFile string
	// Server is the certificate of the server.
	Server *x509.Certificate
}

// Pool returns the authority as the only one to trust.
func (c *Certificate) Pool(t testing.TB) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(c.AuthorityFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return pool
}

// MustMakeCertificate makes an authority and a certificate in files of the test.
func MustMakeCertificate(t testing.TB) *Certificate {
	t.Helper()
	dir := t.TempDir()
	c := &Certificate{
		AuthorityFile: filepath.Join(dir, "authority.pem"),
		ServerFile:    filepath.Join(dir, "server.pem"),
	}
	authority := template("rte-server tests")
	authority.IsCA, authority.BasicConstraintsValid = true, true
	authority.KeyUsage = x509.KeyUsageCertSign
	authorityKey := mustMakeKey(t)
	authorityPEM := mustSignCertificate(t, authority, authority, authorityKey, authorityKey)

	server := template("127.0.0.1")
	server.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	server.KeyUsage = x509.KeyUsageDigitalSignature
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	serverKey := mustMakeKey(t)
	serverPEM := mustSignCertificate(t, server, authority, serverKey, authorityKey)
	key, err := x509.MarshalPKCS8PrivateKey(serverKey)
	if err != nil {
		t.Fatal(err)
	}
	serverPEM = append(serverPEM, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)

	block, _ := pem.Decode(serverPEM)
	if c.Server, err = x509.ParseCertificate(block.Bytes); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string][]byte{c.AuthorityFile: authorityPEM, c.ServerFile: serverPEM} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func template(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
}

func mustMakeKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// mustSignCertificate signs the certificate of the owner of key and returns it in PEM.
func mustSignCertificate(t testing.TB, certificate, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) []byte {
	t.Helper()
	signed, err := x509.CreateCertificate(rand.Reader, certificate, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed})
}
