package token_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/authz/token"
)

// keySetVariant is the expected outcome of reading a key set: the key ids and algorithms of its keys, the key ids and
// reasons of the skipped entries (an exclamation mark precedes wrong entries), and the error.
type keySetVariant struct {
	keys, skipped []string
	err           string
}

var good = []string{"good RS256"}

const (
	published = "a private or secret key, which must not be published"
	exponent  = ", want 2048 to 16384 bits and an odd exponent from 3"
	malformed = "failed to unmarshal JSON Web Key: "
)

// keySetVariants are the forms of key sets that identity providers publish, and the ways in which sets look odd. Each
// is a file in testdata/key_sets.
var keySetVariants = map[string]keySetVariant{
	// Microsoft Entra: no alg, x5t is the key id, an issuer that is a template.
	"entra":      {keys: []string{"MnC_VZcATfM5pOYiJHMba9goEKY", "JYhAcTPMZ_LX6DBlOWQ7Hn0NeXE"}},
	"entra-b2c":  {keys: []string{"X5eXk4xyojNFum1kl2Ytv8dlNP4-c57dO6QGTVBwaNk"}},
	"entra-ciam": {keys: []string{"k1"}},
	// Keycloak: a key for encryption beside the one for signatures.
	"keycloak":                {keys: []string{"sig-1 RS256"}, skipped: []string{"enc-1: use: not for signatures"}},
	"keycloak-eddsa":          {keys: []string{"ed EdDSA", "ec ES256"}},
	"keycloak-ecdh":           {keys: []string{"ec ES384"}, skipped: []string{"ecdh: use: not for signatures"}},
	"ed25519-by-its-new-name": {keys: []string{"ed EdDSA"}},
	// Auth0 and WorkOS: x5t and x5t#S256 are not thumbprints of the certificate.
	"auth0": {keys: []string{
		"NjVBRjY5MDlCMUIwNzU4RTA2QzZFMDQ4QzQ2MDAyQjVDNjk1RTM2Qg RS256", "qJ1xLCw8nB2 RS256",
	}},
	"workos":        {keys: []string{"sso_oidc_key_pair_01HMBNVTV9VBZQ0XHK8G4XJ9YV RS256"}},
	"okta":          {keys: []string{"FJA0HGNtsuuda_Pl45J42kvQqcsu_0C4Fg7pbJLXTHY RS256"}},
	"okta-statuses": {keys: []string{"now RS256", "next RS256"}},
	// Amazon Cognito: key ids with the characters of base64.
	"cognito": {keys: []string{
		"1jfNcH+dOnOS8Ud/rMpWkEr5a0k2yFl+xL4wCQ8xXSA= RS256", "c6GcTpr5ZlkB/SFM2y4iqxmgx2lCX0l5Z5cm4X4lF7Q= RS256",
	}},
	"google": {keys: []string{
		"8e8fc8e556f7a76d08d35829d6f90ae2e12cfd0d RS256", "a3b762f871cdb3bae0044c649622fc1396eda3e3 RS256",
	}},
	"google-certificates": {err: "not a JSON web key set: no list of keys"}, // of /oauth2/v1/certs
	// Zitadel: key ids that look like numbers, and no key before it has signed the first token.
	"zitadel":                        {keys: []string{"277301587623419906 RS256", "277301587623485442 RS256"}},
	"zitadel-before-the-first-token": {err: "no key that can verify a signature, in 0 entries"},

	"keys-null":       {err: "not a JSON web key set: no list of keys"},
	"keys-missing":    {err: "not a JSON web key set: no list of keys"},
	"keys-an-object":  {err: "not a JSON web key set"},
	"a-bare-list":     {err: "not a JSON web key set"},
	"a-bare-key":      {err: "not a JSON web key set: no list of keys"},
	"html":            {err: "not a JSON web key set"},
	"cut-off":         {err: "not a JSON web key set"},
	"byte-order-mark": {keys: good},

	"kid-a-number":  {keys: good, skipped: []string{"!7: kid: not a string"}},
	"kid-an-object": {keys: good, skipped: []string{`!{"id":"a"}: kid: not a string`}},
	"kid-null":      {keys: []string{""}},
	"kid-missing":   {keys: []string{"RS256"}},
	"kid-empty":     {keys: []string{""}},
	"kid-twice":     {keys: []string{"same", "same"}},
	"entry-null":    {keys: good, skipped: []string{"!: not a JSON object"}},
	"entry-a-string": {keys: good, skipped: []string{
		"!: not a JSON object", "!: not a JSON object", "!: not a JSON object",
	}},

	"private-key": {keys: good, skipped: []string{"!private: " + published}},
	"secret-key":  {keys: good, skipped: []string{"!secret: " + published}},
	"rsa-1024":    {keys: good, skipped: []string{"!weak: an RSA key of 1024 bits with the exponent 65537" + exponent}},
	"rsa-4096":    {keys: []string{"strong"}},
	"rsa-exponent-1": {keys: good, skipped: []string{
		"!one: an RSA key of 2048 bits with the exponent 1" + exponent,
		"!even: an RSA key of 2048 bits with the exponent 65536" + exponent,
	}},
	"rsa-exponent-3":          {keys: []string{"three"}},
	"rsa-exponent-a-number":   {keys: good, skipped: []string{"!number: e: not a string"}},
	"rsa-exponent-with-zeros": {keys: []string{"zeros"}},
	"rsa-modulus-with-zero":   {keys: []string{"zero"}},
	"rsa-modulus-padded":      {keys: []string{"padded"}},
	"rsa-modulus-standard-base64": {keys: good, skipped: []string{
		"!standard: " + malformed + `failed to decode RSA key parameter "n": illegal base64 data at input byte 0`,
	}},
	"rsa-modulus-missing": {keys: good, skipped: []string{
		"!missing: " + malformed + `unable to unmarshal JWK due to invalid attributes: RSA requires parameters "n" and "e"`,
	}},

	"ec-curves":    {keys: []string{"p256 ES256", "p384", "p521 ES512"}},
	"ec-secp256k1": {keys: good, skipped: []string{"k1: alg: not supported", "k2: kty or crv: not supported"}},
	"ec-not-on-the-curve": {keys: good, skipped: []string{
		"!off: " + malformed + "unable to unmarshal JWK due to invalid attributes: invalid key: " +
			"EC point is not on the specified curve",
	}},
	"ec-short-coordinate": {keys: []string{"short"}},
	"okp-x25519":          {keys: good, skipped: []string{"x: crv: not supported"}},
	"okp-ed448":           {keys: good, skipped: []string{"ed448: kty or crv: not supported"}},
	"okp-short": {keys: good, skipped: []string{
		"!short: " + malformed + "unable to unmarshal JWK due to invalid attributes: OKP key should be 32 bytes",
	}},
	"kty-unknown": {keys: good, skipped: []string{
		"ml-dsa: alg: not supported", "case: kty or crv: not supported", "!none: kty: absent",
	}},

	"use-null":     {keys: []string{"a", "b", "c"}},
	"use-a-number": {keys: good, skipped: []string{"!a: use: not a string"}},
	"key-ops": {
		keys: []string{"verify", "none"}, skipped: []string{"encrypt: key_ops: not to verify signatures"},
	},
	"key-ops-a-string": {keys: good, skipped: []string{"!a: key_ops: not a list of strings"}},
	"alg-null":         {keys: []string{"a"}},
	"alg-ps256":        {keys: []string{"a PS256"}},
	"alg-none":         {keys: good, skipped: []string{"a: alg: not supported", "!b: alg: not a string"}},
	"alg-of-another-key": {keys: good, skipped: []string{
		"!a: alg: does not fit the key", "!b: alg: does not fit the key",
	}},
	"advice-malformed": {keys: []string{"a", "b"}}, // x5c, x5t, x5u and others of the wrong types
}

func TestReadKeySet_variants(t *testing.T) {
	files, err := filepath.Glob("testdata/key_sets/*.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(keySetVariants) {
		t.Errorf("%d files for %d variants", len(files), len(keySetVariants))
	}
	for name, want := range keySetVariants {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join("testdata/key_sets", name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			var got keySetVariant
			got.keys, got.skipped, err = token.ReadKeySet(data)
			if err != nil {
				got.err = err.Error()
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(keySetVariant{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReadKeySet_keepsTheFirst64(t *testing.T) {
	data, err := os.ReadFile("testdata/key_sets/okta.json")
	if err != nil {
		t.Fatal(err)
	}
	_, key, _ := strings.Cut(strings.TrimSuffix(strings.TrimSpace(string(data)), "]}"), "[")
	entries := make([]string, 70)
	for i := range entries {
		entries[i] = strings.Replace(key, "FJA0HGNtsuuda", fmt.Sprintf("%d-", i), 1)
	}
	keys, skipped, err := token.ReadKeySet([]byte(`{"keys":[` + strings.Join(entries, ",") + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(keys) != 64 || !strings.HasPrefix(keys[0], "0-") || !strings.HasPrefix(keys[63], "63-") {
		t.Errorf("%d keys: %q", len(keys), keys)
	}
	want := []string{"!: the set has more than 64 keys, 6 entries are ignored"}
	if diff := cmp.Diff(want, skipped); diff != "" {
		t.Error(diff)
	}
}
