package e2e

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// serveToken serves a REST API that returns a token like the published one. It returns the URL of the token.
func serveToken(t *testing.T, hubURL, token string) string {
	t.Helper()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{
			"WssEndpoint": strings.Replace(hubURL, "http", "ws", 1), "Token": token,
		})
	}))
	t.Cleanup(api.Close)
	return api.URL + "/token/me/rte/"
}

// payload returns the payload of a token of ourAgent. change replaces parts of it.
func payload(change ...string) string {
	now := time.Now()
	text := fmt.Sprintf(`{"sub":%q,"org":%q,"role":"agent","iss":%q,"aud":%q,"nbf":%d,"exp":%d}`, ourAgent,
		ourOrganization,
		rtetest.Issuer, rtetest.Audience, now.Add(-time.Minute).Unix(), now.Add(time.Hour).Unix())
	return strings.NewReplacer(change...).Replace(text)
}

// request sends one of the two requests with a token and returns the status. The upgrade has the token in the query
// like a browser, unless header is set.
func request(t *testing.T, srv *rtetest.Server, upgrade bool, token string, header bool) int {
	t.Helper()
	method, target := http.MethodPost, srv.HubURL+"/negotiate?negotiateVersion=1"
	if upgrade {
		method, target = http.MethodGet, srv.HubURL+"?x=1"
	}
	if token != "" && !header {
		target += "&access_token=" + url.QueryEscape(token)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, target, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" && header {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if upgrade {
		request.Header.Set("Connection", "Upgrade")
		request.Header.Set("Upgrade", "websocket")
		request.Header.Set("Sec-WebSocket-Version", "13")
		request.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	}
	response, err := httpClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

// mustMakeRSAKey makes a key, and a file with its public key.
func mustMakeRSAKey(t *testing.T) (key *rsa.PrivateKey, publicPEM []byte, publicFile string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	publicPEM = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	publicFile = filepath.Join(t.TempDir(), "public.pem")
	if err := os.WriteFile(publicFile, publicPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	return key, publicPEM, publicFile
}

// TestTokens sends every kind of bad token, and a good one, to negotiate and to the upgrade, in the header and in the
// query.
func TestTokens(t *testing.T) {
	rsaKey, publicPEM, keyFile := mustMakeRSAKey(t)
	otherRSAKey, _, _ := mustMakeRSAKey(t)

	const hs256, rs256, none = `{"alg":"HS256","typ":"JWT"}`, `{"alg":"RS256","typ":"JWT"}`, `{"alg":"none","typ":"JWT"}`
	secret := []byte(rtetest.Secret)
	past := fmt.Sprint(time.Now().Add(-time.Hour).Unix())
	future := fmt.Sprint(time.Now().Add(time.Hour).Unix())
	sign := func(key any, header, payload string) string { return rtetest.MustSign(t, key, header, payload) }
	tests := []struct {
		name  string
		token string
		good  bool
	}{
		{"signed with the secret", sign(secret, hs256, payload()), true},
		{"signed with the RSA key", sign(rsaKey, rs256, payload()), true},
		{"none at all", "", false},
		{"garbage", "garbage", false},
		{"garbage in three parts", "a.b.c", false},
		{"expired", sign(secret, hs256, payload(`"exp":`+future, `"exp":`+past)), false},
		{"not valid yet", sign(secret, hs256, payload(`"nbf":`, `"nbf":`+future+`,"x":`)), false},
		{"signed with another secret", sign([]byte("another secret, and long enough too"), hs256, payload()), false},
		{"signed with another RSA key", sign(otherRSAKey, rs256, payload()), false},
		{"signed with the public key as a secret", sign(publicPEM, hs256, payload()), false},
		{"changed after it was signed", sign(secret, hs256, payload()) + "A", false},
		{"alg none", sign(nil, none, payload()), false},
		{"alg none with a signature", sign(secret, none, payload()), false},
		{"of another issuer", sign(secret, hs256, payload(rtetest.Issuer, "https://elsewhere.test")), false},
		{"for another audience", sign(secret, hs256, payload(rtetest.Audience, "something-else")), false},
	}

	srv := startServer(t, rtetest.Settings{"auth.public_key_file": keyFile})
	upgrades := 0.0
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, header := range []bool{true, false} {
				want := map[bool]int{true: http.StatusOK, false: http.StatusUnauthorized}[test.good]
				if got := request(t, srv, false, test.token, header); got != want {
					t.Errorf("negotiate (token in the header: %v): %d, want %d", header, got, want)
				}
				if test.good {
					want = http.StatusSwitchingProtocols
					upgrades++
				}
				if got := request(t, srv, true, test.token, header); got != want {
					t.Errorf("upgrade (token in the header: %v): %d, want %d", header, got, want)
				}
			}
		})
	}
	// Each upgrade ended without a handshake and was counted at its end.
	srv.WaitFor("the connections to end", func() bool { return srv.Metric("rte_transport_connections") == 0 })
	if got := srv.Metric("rte_transport_handshakes_failed_total"); got != upgrades {
		t.Errorf("%v connections were upgraded, want the %v with good tokens", got, upgrades)
	}
	for _, test := range tests {
		if len(test.token) > len("garbage") && strings.Contains(srv.Log(), test.token) {
			t.Errorf("the log contains the token that is %s", test.name)
		}
	}

	t.Run("are refused in the words that the client knows", func(t *testing.T) {
		c := newClient(t, clientOptions{URL: srv.HubURL, Token: "garbage"})
		const want = "Failed to complete negotiation with the server: Error: Unauthorized: Status code '401'"
		if err := c.start(); err == nil || err.Error() != want {
			t.Errorf("start: %v, want %q", err, want)
		}
	})
}
