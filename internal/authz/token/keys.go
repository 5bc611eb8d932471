package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/golang-jwt/jwt/v5"
)

// minRSABits is the minimum length of an RSA key (RFC 7518, sections 3.3 and 3.5).
const minRSABits = 2048

// maxRSABits is the maximum length of an RSA key: longer ones cost milliseconds for each token.
const maxRSABits = 16384

// eddsa and ed25519Name are two names of one algorithm: RFC 8037 calls it EdDSA, RFC 9864 calls it Ed25519.
const (
	eddsa       = "EdDSA"
	ed25519Name = "Ed25519"
)

// canonical returns the name that this package uses for an algorithm.
func canonical(algorithm string) string {
	if algorithm == ed25519Name {
		return eddsa
	}
	return algorithm
}

// hmacAlgorithms and keyAlgorithms are the supported algorithms (RFC 7518, section 3.1; RFC 8037). keyAlgorithms has
// the test of the keys that fit. An algorithm never uses a key of another kind: a public key is never an HMAC secret,
// whatever the header of a token claims.
var (
	hmacAlgorithms = []string{"HS256", "HS384", "HS512"}
	keyAlgorithms  = map[string]func(crypto.PublicKey) bool{
		"RS256": isRSA, "RS384": isRSA, "RS512": isRSA,
		"PS256": isRSA, "PS384": isRSA, "PS512": isRSA,
		"ES256": isCurve(elliptic.P256()), "ES384": isCurve(elliptic.P384()), "ES512": isCurve(elliptic.P521()),
		eddsa: isEd25519,
	}
)

func isRSA(key crypto.PublicKey) bool {
	public, ok := key.(*rsa.PublicKey)
	return ok && public.N.BitLen() >= minRSABits && public.N.BitLen() <= maxRSABits && public.E >= 3 && public.E%2 == 1
}

func isCurve(curve elliptic.Curve) func(crypto.PublicKey) bool {
	return func(key crypto.PublicKey) bool {
		public, ok := key.(*ecdsa.PublicKey)
		return ok && public.Curve == curve
	}
}

func isEd25519(key crypto.PublicKey) bool {
	_, ok := key.(ed25519.PublicKey)
	return ok
}

// allowed checks a configured list of algorithms. Without one it returns all algorithms that the configured keys allow.
func allowed(configured []string, secrets, publicKeys bool) ([]string, error) {
	var possible []string
	if secrets {
		possible = append(possible, hmacAlgorithms...)
	}
	if publicKeys {
		possible = append(possible, slices.Sorted(maps.Keys(keyAlgorithms))...)
	}
	if len(configured) == 0 {
		return possible, nil
	}
	configured = slices.Clone(configured)
	for i, name := range configured {
		name = canonical(name)
		configured[i] = name
		if !slices.Contains(possible, name) {
			return nil, fmt.Errorf(
				"token: VerifierOptions.Keys.Algorithms: %q is not supported or has no key, want some of %v", name, possible,
			)
		}
	}
	return configured, nil
}

// fitting returns the keys that an algorithm can use.
func fitting(algorithm string, keys []crypto.PublicKey) []jwt.VerificationKey {
	fits := keyAlgorithms[algorithm]
	var fit []jwt.VerificationKey
	for _, key := range keys {
		if fits != nil && fits(key) {
			fit = append(fit, key)
		}
	}
	return fit
}

// usable reports whether any algorithm can use the key.
func usable(key crypto.PublicKey) bool {
	for _, fits := range keyAlgorithms {
		if fits(key) {
			return true
		}
	}
	return false
}

// parsePEM reads the public keys of a PEM file, which has one or more blocks PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE.
func parsePEM(data []byte) ([]crypto.PublicKey, error) {
	var keys []crypto.PublicKey
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		key, err := parseBlock(block)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", block.Type, err)
		}
		if !usable(key) {
			return nil, fmt.Errorf("%s: want RSA of at least %d bits, P-256, P-384, P-521 or Ed25519", block.Type, minRSABits)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("no PEM block with a public key")
	}
	for _, algorithm := range slices.Sorted(maps.Keys(keyAlgorithms)) {
		if len(fitting(algorithm, keys)) > maxCandidates {
			return nil, fmt.Errorf(
				"more than %d keys for %s: a token does not name one of them, so all are tried", maxCandidates, algorithm,
			)
		}
	}
	return keys, nil
}

func parseBlock(block *pem.Block) (crypto.PublicKey, error) {
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return certificate.PublicKey, nil
	default:
		return nil, errors.New("not a public key; this file must not contain private keys")
	}
}
