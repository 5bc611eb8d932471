package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/config"
)

// withSecret loads flags, given as key=value, with a secret for tokens.
func withSecret(t *testing.T, settings ...string) *config.Config {
	t.Helper()
	flags := []string{"--auth.hmac_secret=0123456789abcdef0123456789abcdef"}
	for _, setting := range settings {
		flags = append(flags, "--"+setting)
	}
	return &mustLoad(t, nil, flags...).Config
}

// Settings that no token can ever match were accepted: every token was refused, or every caller was an agent.
func TestCheckServer_refusesWhatNoTokenCanMatch(t *testing.T) {
	for setting, want := range map[string]string{
		"auth.claims.role=realm_access..roles":         "auth.claims.role: ",
		"auth.claims.role=$.realm_access.roles":        "auth.claims.role: ",
		"auth.claims.role=roles[0]":                    "auth.claims.role: ",
		"auth.claims.user=exp":                         "auth.claims.user: ",
		"auth.claims.organization=sub.organization":    "auth.claims.organization: ",
		"auth.claims.organizations=/orgs":              "auth.claims.organizations: ",
		"auth.claims.grants=a.":                        "auth.claims.grants: ",
		"auth.claims.token_id=iat":                     "auth.claims.token_id: ",
		"auth.roles=admin=root":                        "auth.roles: ",
		"auth.roles=admin":                             "auth.roles: ",
		"auth.roles=a=agent,a=service":                 "auth.roles: ",
		"auth.required_claims=token_use":               "auth.required_claims: ",
		"auth.required_claims=exp.x=1":                 "auth.required_claims: ",
		"auth.required_scopes=openid rte.read":         "auth.required_scopes: ",
		"auth.audience_claims=azp":                     "auth.audience_claims: ",
		"auth.audience_claims=sub":                     "auth.audience_claims: ",
		"auth.tenants=9188040d":                        "auth.tenants: ",
		"auth.issuer=https://a.test/{tenantid}/v2.0":   "auth.issuer: ",
		"auth.issuer=https://a.test/{tenant}/v2.0":     "auth.issuer: ",
		"auth.jwks_url=https://a.test/{tenantid}/keys": "auth.jwks_url: ",
		"auth.jwks_url={tenantid} https://a.test/keys": "auth.jwks_url: ",
		"auth.jwks_url=https://a.test/ not-a-url":      "auth.jwks_url: ",
		"auth.claims.role=https://a.test/roles":        "",
		"auth.claims.role=realm_access.roles":          "",
		"auth.required_claims=token_use=access":        "",
		"auth.required_scopes=openid,rte.read":         "",
	} {
		err := config.CheckServer(withSecret(t, setting))
		if (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", setting, err, want)
		}
	}
}

func TestConfig_Warnings_keySets(t *testing.T) {
	for name, test := range map[string]struct {
		settings []string
		want     []string // the keys
	}{
		"NoIssuerNoAudience": {[]string{"auth.jwks_url=https://a.test/keys"}, []string{"auth.jwks_url"}},
		"NoAudience":         {[]string{"auth.jwks_url=https://a.test/ https://a.test/keys"}, []string{"auth.audience"}},
		"IssuerNoAudience": {
			[]string{"auth.jwks_url=https://a.test/keys", "auth.issuer=https://a.test/"}, []string{"auth.audience"},
		},
		"Audience": {[]string{"auth.jwks_url=https://a.test/keys", "auth.audience=rte"}, nil},
		"Scopes":   {[]string{"auth.jwks_url=https://a.test/keys", "auth.required_scopes=rte.read"}, nil},
		"NoKeySet": {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, warning := range withSecret(t, test.settings...).Warnings() {
				key, _, _ := strings.Cut(warning, ":")
				got = append(got, key)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
