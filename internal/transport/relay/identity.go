package relay

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// identity is the key that a node shows to others, and the keys that it accepts. All nodes with the same secret have
// the same key.
type identity struct {
	accepted       []ed25519.PublicKey
	server, client *tls.Config
}

// sessions is the number of nodes whose TLS sessions are kept, for shorter handshakes.
const sessions = 256

// newIdentity derives an identity from the secret of the nodes. Keys of previous secrets are accepted.
func newIdentity(secret []byte, previous [][]byte) (*identity, error) {
	if len(secret) == 0 {
		return nil, errors.New("relay: a secret is required")
	}
	own, err := deriveKey(secret)
	if err != nil {
		return nil, err
	}
	certificate, err := certify(own)
	if err != nil {
		return nil, err
	}
	id := &identity{}
	for _, secret := range append([][]byte{secret}, previous...) {
		if len(secret) == 0 {
			continue
		}
		key, err := deriveKey(secret)
		if err != nil {
			return nil, err
		}
		id.accepted = append(id.accepted, key.Public().(ed25519.PublicKey)) //nolint:forcetypeassert // it is one
	}
	id.server = &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate},
		ClientAuth: tls.RequireAnyClientCert, VerifyConnection: id.verify,
	}
	id.client = &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate},
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection compares the key
		VerifyConnection:   id.verify, ClientSessionCache: tls.NewLRUClientSessionCache(sessions),
	}
	return id, nil
}

func deriveKey(secret []byte) (ed25519.PrivateKey, error) {
	seed, err := hkdf.Key(sha256.New, secret, nil, "rte-server relay", ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("relay: derive key: %w", err)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// certify wraps the public key into a certificate, which TLS needs. Only the key in it counts.
func certify(key ed25519.PrivateKey) (tls.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("relay: certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

var errStranger = errors.New("relay: not a node with the same secret")

// verify accepts the other end if it has proven that it knows one of the secrets.
func (id *identity) verify(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return errStranger
	}
	key, ok := state.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok || !slices.ContainsFunc(id.accepted, func(accepted ed25519.PublicKey) bool { return accepted.Equal(key) }) {
		return errStranger
	}
	return nil
}

// ClientConfig returns the TLS options of a node with a secret, for tests and probes that act as nodes.
func ClientConfig(secret []byte) (*tls.Config, error) {
	id, err := newIdentity(secret, nil)
	if err != nil {
		return nil, err
	}
	return id.client, nil
}
