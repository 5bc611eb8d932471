package token_test

import (
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// FuzzVerify signs any header and payload. The claims of an accepted token must be those that encoding/json reads.
func FuzzVerify(f *testing.F) {
	header := `{"alg":"HS256","typ":"JWT"}`
	f.Add(header, mustJSON(fields()))
	f.Add(`{"alg":"none"}`, mustJSON(fields()))
	f.Add(
		header,
		fmt.Sprintf(
			`{"sub":%q,"org":%q,"role":"service","orgs":[%q],"grants":[{"entity":%q,"event":"x"}],"exp":1e11}`, me, home,
			other, queue,
		),
	)
	f.Add(header, `{"sub":1,"sub":2}`)
	f.Add(header, `null`)
	f.Add(`null`, `null`)
	f.Add(`{"alg":"HS256","crit":["b64"]}`, `{"exp":1.5e-300,"nbf":-0}`)
	verifier := mustVerifier(f, token.VerifierOptions{Keys: token.KeyOptions{Secret: rtetest.Secret}})
	f.Fuzz(func(t *testing.T, header, payload string) {
		claims, err := verifier.Verify(rtetest.MustSign(t, []byte(rtetest.Secret), header, payload))
		if err != nil {
			if token.Reason(err) == "" {
				t.Errorf("no reason for %v", err)
			}
			return
		}
		var read map[string]any
		if err := json.Unmarshal([]byte(payload), &read); err != nil {
			t.Fatalf("accepted, but no JSON: %v", err)
		}
		for name, id := range map[string]events.ID{"sub": claims.User, "org": claims.Organization} {
			if text, _ := read[name].(string); rtetest.MustID(t, text) != id {
				t.Errorf("%s: %v read as %v", name, read[name], id)
			}
		}
		if role, given := read["role"]; given && role != "" && role != string(claims.Role) {
			t.Errorf("role: %v read as %v", role, claims.Role)
		}
		if _, given := read["exp"]; given == claims.ExpiresAt.IsZero() {
			t.Errorf("exp: %v read as %v", read["exp"], claims.ExpiresAt)
		}
	})
}

// FuzzVerifyAsTheLibrary compares Verify with the parser of the JWT library. Header and payload are encoded, or are raw
// segments; without a signature they get a valid one. Each token is verified twice, because the second time its header
// may come from the cache.
func FuzzVerifyAsTheLibrary(f *testing.F) {
	good := fmt.Sprintf(
		`{"sub":%q,"org":%q,"iss":%q,"aud":[%q],"exp":1e11,"jti":"one"}`, me, home, rtetest.Issuer, rtetest.Audience,
	)
	header := `{"alg":"HS256","typ":"JWT"}`
	for _, payload := range []string{
		good, `null`, ` null `, ` {}`, `nul`, ``, `[]`, `7`, `"null"`, good + `}`,
		good[:len(good)-1] + `,}`, `{"exp":1,"exp":1}x`,
		`{"exp":"1"}`, `{"exp":1}`, `{"nbf":1e11}`, `{"iss":null}`, `{"aud":[1]}`,
		"{\"aud\":[\"\\ud800\"],\"s\\u0075b\":\"\xff\"}", "\ufeff" + good,
		`{"x":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`,
		strings.Repeat("[", 9_999) + strings.Repeat("]", 9_999),
	} {
		f.Add(header, payload, "", false)
	}
	for _, header := range []string{
		`{"alg":"HS256","kid":"a"}`, `{"alg":"HS384"}`, `{"alg":"none"}`, `{"alg":"no"}`, `{"alg":"RS256"}`, `{"alg":1}`,
		`{"alg":"none","alg":"HS256"}`,
		`{"ALG":"HS256"}`, `{"alg":"HS256","crit":null}`, `{"alg":"HS256","typ":"at+JWT"}`, `{"alg":"HS256","typ":null}`,
		`{"alg":"HS256","x":1e999}`,
		`{}`, `null`, `[]`, `{"alg":"HS256"}{}`, `{"alg":"\u0048S256"}`,
	} {
		f.Add(header, good, "", false)
		f.Add(header, good, "AA", false)
		f.Add(header, good, "A", false)
		f.Add(header, good, "A.A", false)
	}
	encode := base64.RawURLEncoding.EncodeToString
	first, second := encode([]byte(header)), encode([]byte(good))
	_, third, _ := strings.Cut(rtetest.MustSign(f, []byte(rtetest.Secret), header, good), second+".")
	for _, change := range []string{"", "=", "\n", "\r\n", ".", "+", "B", "_w"} {
		f.Add(first+change, second, "", true)
		f.Add(first, second+change, "", true)
		f.Add(first, second, change, true)
		f.Add(first, second, third+change, true)
	}
	f.Add(first, second, third[:len(third)-1]+next(third[len(third)-1]), true)
	var verifiers []*token.Verifier
	for _, change := range []func(*token.VerifierOptions){
		func(*token.VerifierOptions) {},
		func(o *token.VerifierOptions) { o.Require.Expiry, o.Keys.PreviousSecret = true, "another" },
		func(o *token.VerifierOptions) { o.Require.Issuers, o.Require.Audiences = nil, nil },
		func(o *token.VerifierOptions) { o.Keys.Algorithms = []string{"HS512"} },
		func(o *token.VerifierOptions) {
			o.Keys.Secret, o.Keys.PublicKeyFile = "", mustPEM(f, &mustECDSA(f, elliptic.P256()).PublicKey)
		},
	} {
		o := standard()
		o.CacheSize = -1
		change(&o)
		verifiers = append(verifiers, mustVerifier(f, o))
	}
	f.Fuzz(func(t *testing.T, first, second, third string, raw bool) {
		if !raw {
			first, second = encode([]byte(first)), encode([]byte(second))
		}
		text := first + "." + second
		if third == "" {
			mac := hmac.New(sha256.New, []byte(rtetest.Secret))
			mac.Write([]byte(text))
			third = base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
		}
		text += "." + third
		for i, verifier := range verifiers {
			want, wantErr := verifier.VerifyByLibrary(text)
			for range 2 {
				got, err := verifier.Verify(text)
				if !reflect.DeepEqual(got, want) || (err == nil) != (wantErr == nil) || token.Claim(err) != token.Claim(wantErr) ||
					err != nil && token.Reason(err) != token.Reason(wantErr) {
					t.Errorf("%q by verifier %d: got %+v, %v; by the library %+v, %v", text, i, got, err, want, wantErr)
				}
			}
		}
	})
}

func FuzzRevocation(f *testing.F) {
	f.Add([]byte(`{"jti":"one","until":1700000000.5}`))
	f.Add([]byte(fmt.Sprintf(`{"user":%q,"before":1,"until":253402300799}`, me)))
	f.Add([]byte(`{"user":"","jti":""}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var r, again token.Revocation
		if json.Unmarshal(data, &r) != nil {
			return
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &again); err != nil || again != r {
			t.Errorf("%s read as %+v, written as %s, read as %+v, %v", data, r, text, again, err)
		}
	})
}

func FuzzParseKeySet(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`))
	f.Add(
		[]byte(
			`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"},{"kty":"oct","k":"AA"},{"kty":"OKP","crv":"Ed25519","x":"AA"}]}`,
		),
	)
	f.Add([]byte(`{"keys":[null]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if keys, _, err := token.ReadKeySet(data); (len(keys) == 0) == (err == nil) {
			t.Fatal(keys, err)
		}
	})
}

// FuzzParseObject compares the splitting of objects with encoding/json, which takes the last of two members.
func FuzzParseObject(f *testing.F) {
	for _, seed := range []string{
		`{}`, ` { } `, `{"a":1}`, `{"a" : {"b":[1,"}",{}]} , "c\"":"\\","":null}`, `{"\u0061":true,"a":false}`, `[1]`, `"{"`,
		`{"é":"\ud800","x":"\u2028"}`, "{\"a\":\t[\r\n]}", `{"a":"\\","b":-1.5e+3}`, "{\"\xa9\":\"\"}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !json.Valid(data) {
			return
		}
		got, err := token.Members(data)
		var want map[string]json.RawMessage
		if json.Unmarshal(data, &want) != nil || want == nil {
			if err == nil {
				t.Errorf("%q is taken for an object", data)
			}
			return
		}
		if err != nil { // only because of two members of one name, too many, or a name that is not UTF-8
			return
		}
		if len(got) != len(want) {
			t.Errorf("%q: %d members, want %d", data, len(got), len(want))
		}
		for name, value := range want {
			if got[name] != string(value) {
				t.Errorf("%q: %q is %q, want %q", data, name, got[name], value)
			}
		}
	})
}
