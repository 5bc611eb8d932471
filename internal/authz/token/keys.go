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

// minRSABits is the least length of an RSA key (RFC 7518, sections 3.3 and 3.5).
const minRSABits = 2048

// hmacAlgorithms and keyAlgorithms are the algorithms (RFC 7518, section 3.1; RFC 8037) that can be allowed, each with
// the keys it can be used with. An algorithm is never used with another key than its own: a public key is no HMAC
// secret, whatever the header of a token says.
var (
	hmacAlgorithms = []string{"HS256", "HS384", "HS512"}
	keyAlgorithms  = map[string]func(crypto.PublicKey) bool{
		"RS256": isRSA, "RS384": isRSA, "RS512": isRSA,
		"PS256": isRSA, "PS384": isRSA, "PS512": isRSA,
		"ES256": isCurve(elliptic.P256()), "ES384": isCurve(elliptic.P384()), "ES512": isCurve(elliptic.P521()),
		"EdDSA": isEd25519,
	}
)

func isRSA(key crypto.PublicKey) bool {
	public, ok := key.(*rsa.PublicKey)
	return ok && public.N.BitLen() >= minRSABits
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

// allowed checks a configured list of algorithms, or makes the list of all that the configured keys can have.
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
	for _, name := range configured {
		if !slices.Contains(possible, name) {
			return nil, fmt.Errorf("algorithm %q: not supported or without a key, can be %v", name, possible)
		}
	}
	return configured, nil
}

// fitting are those keys that an algorithm can be used with.
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

// usable says whether any algorithm can be used with the key.
func usable(key crypto.PublicKey) bool {
	for _, fits := range keyAlgorithms {
		if fits(key) {
			return true
		}
	}
	return false
}

// parsePEM reads the public keys of a PEM file: PUBLIC KEY, RSA PUBLIC KEY and CERTIFICATE blocks, one or several.
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
		return nil, errors.New("not a public key; a private key has no place in this file")
	}
}
