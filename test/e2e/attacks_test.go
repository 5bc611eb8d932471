package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// TestAttackTokens sends tokens of known attacks on JWT readers to a node. internal/authz/token tests more variants of
// each; this test covers the whole program.
func TestAttackTokens(t *testing.T) {
	_, publicPEM, keyFile := mustMakeRSAKey(t)
	attacker, _, _ := mustMakeRSAKey(t)
	lure := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a place that a token names was visited")
	}))
	defer lure.Close()

	srv := startServer(t, rtetest.Settings{"auth.public_key_file": keyFile, "auth.leeway": "0s"})
	secret := []byte(rtetest.Secret)
	sign := func(key any, header, payload string) string { return rtetest.MustSign(t, key, header, payload) }
	hs256 := func(payload string) string { return sign(secret, `{"alg":"HS256","typ":"JWT"}`, payload) }
	good := hs256(payload())
	now := time.Now().Unix()
	for name, token := range map[string]string{
		"alg none":                   sign(nil, `{"alg":"none"}`, payload()),
		"HS with the RSA public key": sign(publicPEM, `{"alg":"HS256"}`, payload()),
		"path in kid":                sign([]byte{}, `{"alg":"HS256","kid":"../../../../dev/null"}`, payload()),
		"SQL in kid": sign(
			[]byte("secret"), `{"alg":"HS256","kid":"x' UNION SELECT 'secret' --"}`, payload(),
		),
		"jku":                         sign(attacker, `{"alg":"RS256","jku":"`+lure.URL+`"}`, payload()),
		"x5u":                         sign(attacker, `{"alg":"RS256","x5u":"`+lure.URL+`"}`, payload()),
		"expired at this second":      hs256(payload(`"exp":`, fmt.Sprintf(`"exp":%d,"x":`, now))),
		"nbf in the future":           hs256(payload(`"nbf":`, fmt.Sprintf(`"nbf":%d,"x":`, now+60))),
		"huge claims":                 hs256(payload(`{"sub"`, `{"x":"`+strings.Repeat("x", 20<<10)+`","sub"`)),
		"duplicate claim":             hs256(payload(`{"sub"`, `{"org":"`+theirOrganization+`","sub"`)),
		"duplicate claim, in escapes": hs256(payload(`{"sub"`, `{"\u006frg":"`+theirOrganization+`","sub"`)),
		"wrong typ":                   sign(secret, `{"alg":"HS256","typ":"secevent+jwt"}`, payload()),
		"claims changed after signature": strings.Join(
			[]string{strings.Split(good, ".")[0], encode(payload("agent", "service")), strings.Split(good, ".")[2]}, ".",
		),
	} {
		t.Run(name, func(t *testing.T) {
			for _, upgrade := range []bool{false, true} {
				if status := request(
					t, srv, upgrade, token, true,
				); status != http.StatusUnauthorized && status != http.StatusRequestHeaderFieldsTooLarge {
					t.Errorf("upgrade %v: %d", upgrade, status)
				}
			}
		})
	}
	t.Run("two tokens in header and query", func(t *testing.T) {
		other := hs256(payload(`{"sub"`, `{"jti":"other","sub"`))
		target := srv.HubURL + "/negotiate?negotiateVersion=1&access_token=" + url.QueryEscape(other)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+good)
		response, err := httpClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusBadRequest {
			t.Errorf("%s", response.Status)
		}
	})
	if status := request(t, srv, false, good, true); status != http.StatusOK {
		t.Errorf("a good token is answered with %d", status)
	}
}

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// TestAttackSubscribe subscribes to entities of other organizations and users.
func TestAttackSubscribe(t *testing.T) {
	srv := startServer(t, rtetest.Settings{"directory.kind": "file", "directory.file": mustWriteDirectory(t)})
	c := connect(t, clientOptions{URL: srv.HubURL, Token: mustTokenOfAgent(t, authz.RoleService)})
	for name, item := range map[string]struct{ entity, want string }{
		"unicode in a GUID":                 {"\uff10" + ourAgent[1:], "Invalid entity id"},
		"GUID in braces":                    {"{" + ourAgent + "}", "Invalid entity id"},
		"GUID in N form":                    {strings.ReplaceAll(ourAgent, "-", ""), "Invalid entity id"},
		"entity of another organization":    {theirUser, "Unauthorized"},
		"entity that does not exist":        {unknownEntity, "Unauthorized"},
		"entity of one's own, for contrast": {strings.ToUpper(ourAgent), ""},
	} {
		t.Run(name, func(t *testing.T) {
			var results []subscriptionResult
			c.mustInvoke(&results, "Subscribe", subscribeTo(item.entity, "UserStatus"))
			if len(results) != 1 || results[0].Subscribed != (item.want == "") ||
				item.want != "" && *results[0].Message != item.want {
				t.Errorf("%+v", results)
			}
		})
	}
	t.Run("orgs not one's own", func(t *testing.T) {
		token := rtetest.MustSign(t, []byte(rtetest.Secret), `{"alg":"HS256"}`,
			payload(`{"sub"`, `{"Orgs":["`+theirOrganization+`"],"organizations":["`+theirOrganization+`"],"sub"`))
		var results []subscriptionResult
		connect(t, clientOptions{URL: srv.HubURL, Token: token}).mustInvoke(
			&results, "Subscribe", subscribeTo(theirUser, "UserStatus"),
		)
		if len(results) != 1 || results[0].Subscribed {
			t.Errorf("%+v", results)
		}
	})
}

// TestKeySetAway serves the key set once and then never again, while clients connect.
func TestKeySetAway(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(map[string]any{"keys": []map[string]string{{
		"kty": "EC", "crv": "P-256", "kid": "one", "alg": "ES256", "use": "sig",
		"x": encode(string(point[1:33])), "y": encode(string(point[33:])),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	var requests atomic.Int64
	place := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1) > 1 {
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write(set)
	}))
	defer place.Close()
	srv := startServer(t, rtetest.Settings{"auth.jwks_url": place.URL})

	signed := func(kid, id string) string {
		return rtetest.MustSign(t, key, `{"alg":"ES256","kid":"`+kid+`"}`, payload(`{"sub"`, `{"jti":"`+id+`","sub"`))
	}
	const clients, each = 4, 50
	var coming sync.WaitGroup
	for n := range clients {
		coming.Go(func() {
			for i := range each {
				id := fmt.Sprint(n, "-", i)
				if status := request(t, srv, false, signed("one", id), true); status != http.StatusOK {
					t.Errorf("a good token is answered with %d", status)
				}
				if i%10 == 0 {
					if status := request(t, srv, false, signed("unknown", id), true); status != http.StatusUnauthorized {
						t.Errorf("a token with an unknown key is answered with %d", status)
					}
				}
			}
		})
	}
	coming.Wait()
	if n := requests.Load(); n < 2 || n > 20 {
		t.Errorf("the key set was requested %d times; want retries, but not one for every token", n)
	}
}
