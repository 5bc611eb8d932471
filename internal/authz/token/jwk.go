package token

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/MicahParks/jwkset"
)

// maxKeys is the largest number of keys of a set.
const maxKeys = 64

// setKey is one key of a key set.
type setKey struct {
	id        string // empty: any
	algorithm string // empty: any that fits the key
	key       crypto.PublicKey
}

// skippedKey is an entry of a key set that verifies no token.
type skippedKey struct {
	id     string
	reason string
	wrong  bool // something is wrong with the entry; otherwise it has another purpose
}

var utf8ByteOrderMark = []byte("\xef\xbb\xbf")

// parseKeySet reads the keys of a set (RFC 7517, section 5) that can verify a signature. It skips the other entries,
// among them secrets, private keys, keys for encryption and weak keys: sets often serve several purposes, and one bad
// entry must not spoil the others. Members that are not necessary to verify a signature, such as x5t, are ignored. A
// set has at most maxKeys keys, the first ones. A set without a key is an error.
func parseKeySet(data []byte) (keys []setKey, skipped []skippedKey, err error) {
	var set struct {
		Keys *[]json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(bytes.TrimPrefix(data, utf8ByteOrderMark), &set); err != nil {
		return nil, nil, errors.New("not a JSON web key set")
	}
	if set.Keys == nil {
		return nil, nil, errors.New("not a JSON web key set: no list of keys")
	}
	for i, entry := range *set.Keys {
		if len(keys) == maxKeys {
			skipped = append(skipped, skippedKey{
				reason: fmt.Sprintf(
					"the set has more than %d keys, %d entries are ignored", maxKeys, len(*set.Keys)-i,
				), wrong: true,
			})
			break
		}
		if key, skip := parseKey(entry); skip == nil {
			keys = append(keys, *key)
		} else {
			skipped = append(skipped, *skip)
		}
	}
	if len(keys) == 0 {
		err = fmt.Errorf("no key that can verify a signature, in %d entries", len(*set.Keys))
	}
	return keys, skipped, err
}

// jwk has the members of a JSON web key (RFC 7517, section 4) that matter here, as they are written.
type jwk map[string]json.RawMessage

// parseKey reads one entry of a key set.
func parseKey(entry []byte) (*setKey, *skippedKey) {
	var j jwk
	if json.Unmarshal(entry, &j) != nil || j == nil {
		return nil, &skippedKey{reason: "not a JSON object", wrong: true}
	}
	id, err := j.text("kid")
	if err != nil {
		return nil, &skippedKey{id: string(j["kid"]), reason: err.Error(), wrong: true}
	}
	if reason := j.otherPurpose(); reason != "" {
		return nil, &skippedKey{id: id, reason: reason}
	}
	algorithm, key, err := j.key()
	if err != nil {
		return nil, &skippedKey{id: id, reason: err.Error(), wrong: !errors.Is(err, errOtherPurpose)}
	}
	return &setKey{id: id, algorithm: algorithm, key: key}, nil
}

// has reports whether a member is present and not null.
func (j jwk) has(name string) bool {
	value, ok := j[name]
	return ok && string(value) != "null"
}

// text returns a member that must be a string; empty if it is absent or null.
func (j jwk) text(name string) (text string, err error) {
	if j.has(name) && json.Unmarshal(j[name], &text) != nil {
		return "", fmt.Errorf("%s: not a string", name)
	}
	return text, nil
}

// otherPurpose returns why a well-formed key is not meant to verify signatures; empty if it may be.
func (j jwk) otherPurpose() string {
	if use, err := j.text("use"); err == nil && use != "" && use != string(jwkset.UseSig) {
		return "use: not for signatures"
	}
	var operations []string
	if json.Unmarshal(j["key_ops"], &operations) == nil && len(operations) > 0 &&
		!slices.Contains(operations, string(jwkset.KeyOpsVerify)) {
		return "key_ops: not to verify signatures"
	}
	return ""
}

// errOtherPurpose means that a key is not one that this server can use, and not wrong.
var errOtherPurpose = errors.New("not supported")

// key returns the algorithm, empty for any, and the key of an entry.
func (j jwk) key() (algorithm string, key crypto.PublicKey, err error) {
	if j.has("d") || j.has("k") {
		return "", nil, errors.New("a private or secret key, which must not be published")
	}
	if j.has("key_ops") && json.Unmarshal(j["key_ops"], &[]string{}) != nil {
		return "", nil, errors.New("key_ops: not a list of strings")
	}
	if _, err := j.text("use"); err != nil {
		return "", nil, err
	}
	if algorithm, err = j.text("alg"); err != nil {
		return "", nil, err
	}
	algorithm = canonical(algorithm)
	fits := keyAlgorithms[algorithm]
	if algorithm != "" && fits == nil {
		return "", nil, fmt.Errorf("alg: %w", errOtherPurpose)
	}
	if key, err = j.publicKey(); err != nil {
		return "", nil, err
	}
	if !usable(key) {
		if public, ok := key.(*rsa.PublicKey); ok {
			return "", nil, fmt.Errorf(
				"an RSA key of %d bits with the exponent %d, want %d to %d bits and an odd exponent from 3",
				public.N.BitLen(), public.E, minRSABits, maxRSABits)
		}
		return "", nil, fmt.Errorf("crv: %w", errOtherPurpose)
	}
	if fits != nil && !fits(key) {
		return "", nil, errors.New("alg: does not fit the key")
	}
	return algorithm, key, nil
}

// publicKey converts the members of a key into a key. The members that only describe it are not passed on: the library
// refuses keys whose x5t, x5c or x5u it does not like.
func (j jwk) publicKey() (crypto.PublicKey, error) {
	var kty, crv, n, e, x, y string
	for _, member := range []struct {
		name string
		to   *string
	}{{"kty", &kty}, {"crv", &crv}, {"n", &n}, {"e", &e}, {"x", &x}, {"y", &y}} {
		var err error
		if *member.to, err = j.text(member.name); err != nil {
			return nil, err
		}
	}
	if kty == "" {
		return nil, errors.New("kty: absent")
	}
	converted, err := jwkset.NewJWKFromMarshal(
		jwkset.JWKMarshal{KTY: jwkset.KTY(kty), CRV: jwkset.CRV(crv), N: n, E: e, X: x, Y: y},
		jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{SkipAll: true})
	switch {
	case errors.Is(err, jwkset.ErrUnsupportedKey):
		return nil, fmt.Errorf("kty or crv: %w", errOtherPurpose)
	case err != nil:
		return nil, err
	}
	return converted.Key(), nil
}

// sameKeys reports whether two sets have the same keys in the same order.
func sameKeys(a, b []setKey) bool {
	return slices.EqualFunc(a, b, func(x, y setKey) bool {
		equal, ok := x.key.(interface{ Equal(crypto.PublicKey) bool })
		return ok && x.id == y.id && x.algorithm == y.algorithm && equal.Equal(y.key)
	})
}
