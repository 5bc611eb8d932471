package transport_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/authz/token"
)

// The cases of section 1.2, each at negotiate and at the upgrade.
func TestToken(t *testing.T) {
	s := startServer(t)
	const good, unauthorized, bad = 0, http.StatusUnauthorized, http.StatusBadRequest
	tests := []struct {
		name, query string
		headers     []string
		status      int // 0: granted
		challenge   string
	}{
		{"header", "", []string{"Authorization: Bearer alice"}, good, ""},
		{"header, scheme in lower case", "", []string{"Authorization: bearer alice"}, good, ""},
		{"query", "access_token=alice", nil, good, ""},
		{"query, escaped", "access_token=alice%20again", nil, good, ""},
		{"query, name in another case", "Access_Token=alice", nil, good, ""},
		{"header and query, the same", "access_token=alice", []string{"Authorization: Bearer alice"}, good, ""},
		{"another scheme and query", "access_token=alice", []string{"Authorization: Basic YTpi"}, good, ""},
		{"empty header and query", "access_token=alice", []string{"Authorization: Bearer"}, good, ""},
		{
			"header and query, different", "access_token=alice",
			[]string{"Authorization: Bearer bob"},
			bad,
			`Bearer error="invalid_request"`,
		},
		{"query twice, different", "access_token=alice&access_token=bob", nil, bad, `Bearer error="invalid_request"`},
		{
			"header twice, different", "",
			[]string{"Authorization: Bearer alice", "Authorization: Bearer bob"},
			bad,
			`Bearer error="invalid_request"`,
		},
		{"none", "", nil, unauthorized, "Bearer"},
		{"none but another scheme", "", []string{"Authorization: Basic YTpi"}, unauthorized, "Bearer"},
		{"refused, header", "", []string{"Authorization: Bearer mallory"}, unauthorized, `Bearer error="invalid_token"`},
		{"refused, query", "access_token=mallory", nil, unauthorized, `Bearer error="invalid_token"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, upgrade := range []bool{false, true} {
				var (
					response *http.Response
					body     string
					granted  = http.StatusOK
				)
				if upgrade {
					response, body = s.connect().upgrade("/rte?"+test.query, "", test.headers...)
					granted = http.StatusSwitchingProtocols
				} else {
					response, body = s.do(http.MethodPost, "/rte/negotiate?"+test.query, "", test.headers...)
				}
				if test.status == good {
					if response.StatusCode != granted {
						t.Errorf("upgrade %v: %s %s", upgrade, response.Status, body)
					}
					continue
				}
				if response.StatusCode != test.status || body != "" || response.Header.Get("Upgrade") != "" ||
					response.Header.Get("WWW-Authenticate") != test.challenge {
					t.Errorf("upgrade %v: %s %v %q", upgrade, response.Status, response.Header, body)
				}
			}
		})
	}
	for _, entry := range s.logs.All() {
		for _, field := range entry.Context {
			for _, token := range []string{"alice", "bob", "mallory"} {
				if strings.Contains(field.String, token) {
					t.Errorf("log entry %q has a token in %s", entry.Message, field.Key)
				}
			}
		}
	}
}

// Clients ask their token factory twice per start, and the two tokens differ.
func TestToken_AnotherForTheWebSocket(t *testing.T) {
	s := startServer(t)
	token := s.negotiate("alice").ConnectionToken
	if response, _ := s.connect().upgrade("/rte?id="+token, "bob"); response.StatusCode != http.StatusNotFound {
		t.Errorf("another user: %s", response.Status)
	}
	response, _ := s.connect().upgrade("/rte?id="+token+"&access_token=alice%20again", "")
	if response.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("another token of the same user: %s", response.Status)
	}
}

// The audit log gets each refused request, and no granted one.
func TestBearer_RefusalIsReported(t *testing.T) {
	reported := make(chan string, 10)
	s := startServer(t, func(o *setup) {
		o.Refused = func(remote, reason, _ string) {
			if remote == "" {
				t.Error("no address")
			}
			reported <- reason
		}
	})
	for _, test := range []struct{ target, token, want string }{
		{"/rte/negotiate", "", "missing"},
		{"/rte/negotiate", "mallory", "bad_signature"},
		{"/rte/negotiate?access_token=bob", "alice", "two_tokens"},
	} {
		s.do(http.MethodPost, test.target, test.token)
		if got := <-reported; got != test.want {
			t.Errorf("%s with %q: %s, want %s", test.target, test.token, got, test.want)
		}
	}
	if s.do(http.MethodPost, "/rte/negotiate", "alice"); len(reported) != 0 {
		t.Error("a granted request is reported")
	}
}

// refusing refuses every token with its error.
type refusing struct{ error }

func (r refusing) Verify(string) (*authz.Claims, error) { return nil, r.error }

// A node that had never read a key answered 401 to good tokens, so that clients threw them away and requested new ones.
func TestBearer_KeysUnavailable(t *testing.T) {
	s := startServer(t, func(o *setup) { o.Verifier, o.Refresh.Enabled = refusing{token.ErrUnavailable}, true })
	for _, target := range []string{"/rte/negotiate", "/rte/refresh?id=x"} {
		response, _ := s.do(http.MethodPost, target, "alice")
		if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") != "1" ||
			response.Header.Get("WWW-Authenticate") != "" {
			t.Errorf("%s: %s, %v", target, response.Status, response.Header)
		}
	}
	if response, _ := s.connect().upgrade("/rte", "alice"); response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("upgrade: %s", response.Status)
	}
}

func TestBearer_RefusalNamesTheClaim(t *testing.T) {
	claims := make(chan string, 1)
	wrong := &token.ClaimError{Reason: token.ErrClaims, Claim: "realm_access.roles", Problem: "no known role"}
	s := startServer(t, func(o *setup) {
		o.Verifier, o.Refused = refusing{wrong}, func(_, _, claim string) { claims <- claim }
	})
	s.do(http.MethodPost, "/rte/negotiate", "alice")
	if claim := <-claims; claim != "realm_access.roles" {
		t.Errorf("got %q", claim)
	}
}
