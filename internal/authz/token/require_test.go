package token_test

import (
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/rtetest"
)

func TestVerify_requirements(t *testing.T) {
	type requirements = token.Requirements
	claim := func(path, value string) requirements {
		return requirements{Claims: []token.RequiredClaim{{Claim: path, Value: value}}}
	}
	for name, test := range map[string]struct {
		require requirements
		fields  map[string]any
		claim   string // that is wrong; empty: the token is accepted
		reason  token.Error
	}{
		"ClientIDAsAudience": {
			requirements{Audiences: []string{"app"}, AudienceClaims: []string{"aud", "client_id"}},
			with("client_id", "app"),
			"", "",
		},
		"AuthorizedParty": {
			requirements{Audiences: []string{"x", "app"}, AudienceClaims: []string{"azp"}}, with("azp", "app"), "", "",
		},
		"AudienceStillCounts": {
			requirements{Audiences: []string{rtetest.Audience}, AudienceClaims: []string{"client_id", "aud"}}, fields(), "", "",
		},
		"ClientIDNotAskedFor": {requirements{Audiences: []string{"app"}}, with("client_id", "app"), "aud", token.ErrAudience},
		"WrongClientID": {
			requirements{Audiences: []string{"app"}, AudienceClaims: []string{"client_id", "azp"}},
			with("client_id", "other"),
			"client_id, azp", token.ErrAudience,
		},
		"Scope":        {requirements{Scopes: []string{"rte.read", "openid"}}, with("scope", "openid rte.read"), "", ""},
		"ScopeList":    {requirements{Scopes: []string{"rte.read"}}, with("scp", []string{"openid", "rte.read"}), "", ""},
		"ScopeOfEntra": {requirements{Scopes: []string{"rte.read"}}, with("scp", "openid rte.read"), "", ""},
		"ScopeMissing": {
			requirements{Scopes: []string{"rte.read", "x"}}, with("scope", "rte.read"), "scope", token.ErrClaims,
		},
		"ScopeNotAPrefix": {requirements{Scopes: []string{"rte"}}, with("scp", "rte.read"), "scp", token.ErrClaims},
		"ScopeAbsent":     {requirements{Scopes: []string{"rte.read"}}, fields(), "scope", token.ErrClaims},
		"ScopeNotText":    {requirements{Scopes: []string{"rte.read"}}, with("scope", 1), "scope", token.ErrClaims},

		"Claim":           {claim("token_use", "access"), with("token_use", "access"), "", ""},
		"ClaimInAList":    {claim("groups", "rte"), with("groups", []any{1, "rte"}), "", ""},
		"ClaimNested":     {claim("a.b", "c"), with("a", map[string]any{"b": "c"}), "", ""},
		"ClaimTrue":       {claim("email_verified", "true"), with("email_verified", true), "", ""},
		"ClaimNumber":     {claim("level", "3"), with("level", 3), "", ""},
		"ClaimOther":      {claim("token_use", "access"), with("token_use", "id"), "token_use", token.ErrClaims},
		"ClaimNotInAList": {claim("groups", "rte"), with("groups", []string{"rte2"}), "groups", token.ErrClaims},
		"ClaimAbsent":     {claim("token_use", "access"), fields(), "token_use", token.ErrClaims},
		"ClaimAnObject":   {claim("a", `{"b":1}`), with("a", map[string]any{"b": 1}), "a", token.ErrClaims},
	} {
		t.Run(name, func(t *testing.T) {
			o := token.VerifierOptions{Keys: token.KeyOptions{Secret: rtetest.Secret}, Require: test.require}
			_, err := mustVerifier(t, o).Verify(mustHS256(t, test.fields))
			if test.reason == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, test.reason) || token.Claim(err) != test.claim {
				t.Errorf("got %v, want %v of %q", err, test.reason, test.claim)
			}
		})
	}
}

// Operators could not tell which claim of a token was wrong.
func TestVerify_namesTheWrongClaim(t *testing.T) {
	now := time.Now().Unix()
	for name, test := range map[string]struct {
		fields map[string]any
		claim  string
	}{
		"Expired":       {with("exp", now-60), "exp"},
		"NotYetValid":   {with("nbf", now+60), "nbf"},
		"Issuer":        {with("iss", "https://else.test"), "iss"},
		"Audience":      {with("aud", "else"), "aud"},
		"User":          {with("sub", "anna"), "sub"},
		"Organization":  {with("org", nil), "org"},
		"Role":          {with("role", "admin"), "role"},
		"Organizations": {with("orgs", "x"), "orgs"},
		"Grants":        {with("grants", []int{1}), "grants"},
		"ExpiryText":    {with("exp", "tomorrow"), "exp"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := mustVerifier(t, standard()).Verify(mustHS256(t, test.fields))
			if token.Claim(err) != test.claim {
				t.Errorf("got %q of %v", token.Claim(err), err)
			}
		})
	}
}

func TestVerify_issuerTemplate(t *testing.T) {
	const (
		template = "https://login.microsoftonline.com/{tenantid}/v2.0"
		ours     = "72f988bf-86f1-41af-91ab-2d7cd011db47"
		theirs   = "9188040d-6c67-4c5b-b112-36a304b66dad"
	)
	issuer := func(tenant string) map[string]any {
		return with("iss", "https://login.microsoftonline.com/"+tenant+"/v2.0")
	}
	o := token.VerifierOptions{
		Keys:    token.KeyOptions{Secret: rtetest.Secret},
		Require: token.Requirements{Issuers: []string{template}, Tenants: []string{"72F988BF-86F1-41AF-91AB-2D7CD011DB47"}},
	}
	verifier := mustVerifier(t, o)
	verifies(t, verifier, mustHS256(t, issuer(ours)), nil)
	verifies(t, verifier, mustHS256(t, issuer(theirs)), token.ErrIssuer)
	verifies(t, verifier, mustHS256(t, issuer("{tenantid}")), token.ErrIssuer)
	verifies(t, verifier, mustHS256(t, issuer(ours+"/v2.0/x")), token.ErrIssuer)

	key := mustECDSA(t, elliptic.P256())
	i := startIssuer(t, "https://login.microsoftonline.com/"+ours+"/v2.0")
	i.publish(t, map[string]any{"one": &key.PublicKey})
	verifier = mustVerifier(t, token.VerifierOptions{
		Keys:    token.KeyOptions{Sets: []token.KeySetOptions{{URL: i.URL, Issuer: template}}},
		Require: token.Requirements{Tenants: []string{ours}},
	})
	verifies(t, verifier, i.sign(t, "one", key, fields()), nil)
	i.name = "https://login.microsoftonline.com/" + theirs + "/v2.0"
	verifies(t, verifier, i.sign(t, "one", key, fields()), token.ErrIssuer)
}

// RFC 9864 gives EdDSA with Ed25519 a name of its own, which Keycloak and others use already.
func TestVerify_ed25519ByBothNames(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	file := mustPEM(t, public)
	for _, algorithms := range [][]string{nil, {"EdDSA"}, {"Ed25519"}} {
		verifier := mustVerifier(
			t, token.VerifierOptions{Keys: token.KeyOptions{PublicKeyFile: file, Algorithms: algorithms}},
		)
		for _, name := range []string{"EdDSA", "Ed25519"} {
			verifies(t, verifier, rtetest.MustSign(t, private, `{"alg":"`+name+`"}`, mustJSON(fields())), nil)
		}
	}
	verifier := mustVerifier(
		t,
		token.VerifierOptions{
			Keys: token.KeyOptions{PublicKeyFile: file, Secret: rtetest.Secret, Algorithms: []string{"HS256"}},
		},
	)
	verifies(t, verifier, rtetest.MustSign(t, private, `{"alg":"Ed25519"}`, mustJSON(fields())), token.ErrAlgorithm)
	i := startIssuer(t, "https://a.test")
	i.publish(t, map[string]any{"one": public})
	verifies(
		t, mustVerifier(t, i.options()),
		rtetest.MustSign(t, private, `{"alg":"Ed25519","kid":"one"}`, mustJSON(with("iss", i.name))), nil,
	)
}

func TestNewVerifier_refusesWhatCanNeverMatch(t *testing.T) {
	type requirements = token.Requirements
	for name, o := range map[string]token.VerifierOptions{
		"RolePath":    {Claims: token.ClaimNames{Role: "realm_access..roles"}},
		"UserIsATime": {Claims: token.ClaimNames{User: "exp"}},
		"RoleMappedTwice": {
			Roles: token.RoleOptions{Map: []token.RoleMapping{{"x", token.RoleAgent}, {"x", token.RoleService}}},
		},
		"RoleUnknown":        {Roles: token.RoleOptions{Map: []token.RoleMapping{{"x", "admin"}}}},
		"DefaultRoleUnknown": {Roles: token.RoleOptions{Default: "admin"}},
		"TemplateNoTenant":   {Require: requirements{Issuers: []string{"https://a.test/{tenantid}"}}},
		"TenantNoTemplate":   {Require: requirements{Issuers: []string{"https://a.test/"}, Tenants: []string{"x"}}},
		"TenantIsAPath": {
			Require: requirements{Issuers: []string{"https://a.test/{tenantid}"}, Tenants: []string{"x/y"}},
		},
		"Placeholder":        {Require: requirements{Issuers: []string{"https://a.test/{tenant}"}, Tenants: []string{"x"}}},
		"AudienceClaim":      {Require: requirements{Audiences: []string{"x"}, AudienceClaims: []string{"sub"}}},
		"AudienceClaimAlone": {Require: requirements{AudienceClaims: []string{"azp"}}},
		"ScopeOfTwoWords":    {Require: requirements{Scopes: []string{"a b"}}},
		"RequiredClaimPath":  {Require: requirements{Claims: []token.RequiredClaim{{Claim: "sub.x", Value: "y"}}}},
		"KeySetIssuerTemplate": {
			Keys: token.KeyOptions{Sets: []token.KeySetOptions{{URL: "https://a.test/", Issuer: "{tenantid}"}}},
		},
		"KeySetURLTemplate": {Keys: token.KeyOptions{Sets: []token.KeySetOptions{{URL: "https://a.test/{tenantid}"}}}},
	} {
		o.Keys.Secret = rtetest.Secret
		if _, err := token.NewVerifier(o); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestParseRequiredClaim(t *testing.T) {
	for text, want := range map[string]*token.RequiredClaim{
		"token_use=access":  {Claim: "token_use", Value: "access"},
		" a.b = c=d ":       {Claim: "a.b", Value: "c=d"},
		"token_use":         nil,
		"token_use=":        nil,
		"=access":           nil,
		"$.token_use=x":     nil,
		"token use=access":  nil,
		"token_use..x=yes":  nil,
		"iss.tenant=ours":   nil,
		"exp=1700000000":    {Claim: "exp", Value: "1700000000"},
		"https://a.test/=x": {Claim: "https://a.test/", Value: "x"},
	} {
		got, err := token.ParseRequiredClaim(text)
		if (err == nil) != (want != nil) || want != nil && !cmp.Equal(*want, got) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

// Tokens of the command line must meet the requirements of the same configuration.
func TestSigner_meetsTheRequirements(t *testing.T) {
	o := token.VerifierOptions{
		Keys: token.KeyOptions{Secret: rtetest.Secret},
		Require: token.Requirements{
			Issuers: []string{"https://a.test/{tenantid}"}, Tenants: []string{"one", "two"}, Audiences: []string{"app"},
			AudienceClaims: []string{"client_id"}, Scopes: []string{"rte.read", "openid"},
			Claims: []token.RequiredClaim{{Claim: "a.b", Value: "true"}}, Expiry: true,
		},
		Claims: token.ClaimNames{Role: "realm_access.roles"},
		Roles:  token.RoleOptions{Map: []token.RoleMapping{{"rte-supervisor", token.RoleSupervisor}}, Default: token.NoRole},
	}
	signer := token.NewSigner(
		token.SignerOptions{Secret: rtetest.Secret, Require: o.Require, Claims: o.Claims, Roles: o.Roles},
	)
	compact, err := signer.Sign(token.Claims{User: me, Organization: home, Role: token.RoleSupervisor}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := mustVerifier(t, o).Verify(compact)
	if err != nil || claims.Role != token.RoleSupervisor {
		t.Errorf("got %+v, %v", claims, err)
	}
}
