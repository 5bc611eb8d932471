package config

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/rte-server/rte-server/internal/authz/watch"
)

// maxCertificateBytes bounds the files of a certificate and of its key.
const maxCertificateBytes = 1 << 20

// PortTLS are the files of TLS of a port. Without them the port has no TLS.
type PortTLS struct {
	CertFile, KeyFile string
}

// Read reads the certificate and its key. The leaf of the result is set. Its error names a file and contains no key.
func (p PortTLS) Read() (*tls.Certificate, error) {
	chain, err := watch.ReadFile(p.CertFile, maxCertificateBytes)
	if err != nil {
		return nil, err
	}
	key, err := watch.ReadFile(p.KeyFile, maxCertificateBytes)
	if err != nil {
		return nil, err
	}
	certificate, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", p.CertFile, p.KeyFile, err)
	}
	return &certificate, nil
}

// ClientTLS returns the options for a client on this machine, of a port with these files. It accepts the certificate in
// the files alone, whatever name the certificate has. nil: the port has no TLS.
func (p PortTLS) ClientTLS() *tls.Config {
	if p.CertFile == "" {
		return nil
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection compares the certificate
		VerifyConnection: func(state tls.ConnectionState) error {
			own, err := p.Read()
			if err != nil {
				return err
			}
			if len(state.PeerCertificates) == 0 || !bytes.Equal(state.PeerCertificates[0].Raw, own.Leaf.Raw) {
				return errors.New("the port has another certificate than the file of the configuration")
			}
			return nil
		},
	}
}

// checkPortTLS checks the keys of TLS of both ports.
func (p *problems) checkPortTLS(c *Config) {
	for prefix, files := range map[string]PortTLS{"tls": c.TLS, "console.tls": c.Console.TLS} {
		if (files.CertFile == "") != (files.KeyFile == "") {
			p.add(prefix+".cert_file", "must be set together with %s.key_file", prefix)
		}
	}
}
