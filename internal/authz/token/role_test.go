package token_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rte-server/rte-server/internal/authz/token"
)

func TestVerify_role(t *testing.T) {
	mapping := []token.RoleMapping{
		{"rte-supervisor", token.RoleSupervisor}, {"rte-service", token.RoleService}, {"agent-eu", token.RoleAgent},
	}
	keycloak := func(roles ...string) map[string]any {
		return with("realm_access", map[string]any{"roles": roles})
	}
	const refused = token.Role("")
	for name, test := range map[string]struct {
		claim  string // default: role
		roles  token.RoleOptions
		fields map[string]any
		want   token.Role
	}{
		"List":            {fields: with("role", []string{"x", "supervisor"}), want: token.RoleSupervisor},
		"ListHighestRole": {fields: with("role", []string{"agent", "supervisor", "service"}), want: token.RoleService},
		"ListEmpty":       {fields: with("role", []string{}), want: token.RoleAgent},
		"ListUnknown":     {fields: with("role", []string{"x"}), want: refused},
		"Empty":           {fields: with("role", ""), want: token.RoleAgent},
		"Nested": {
			claim: "realm_access.roles", fields: keycloak("offline_access", "service"), want: token.RoleService,
		},
		"NestedUnknown":          {claim: "realm_access.roles", fields: keycloak("offline_access"), want: refused},
		"NestedAbsent":           {claim: "realm_access.roles", fields: fields(), want: token.RoleAgent},
		"NestedParentIsNoObject": {claim: "realm_access.roles", fields: with("realm_access", "roles"), want: token.RoleAgent},
		"NestedDeeper": {
			claim:  `resource_access.my\.app.roles`,
			fields: with("resource_access", map[string]any{"my.app": map[string]any{"roles": []string{"service"}}}),
			want:   token.RoleService,
		},
		"NameWithDots": {claim: "app.role", fields: with("app.role", "service"), want: token.RoleService},
		"NameIsAURL": {
			claim: "https://id.test/roles", fields: with("https://id.test/roles", []string{"service"}),
			want: token.RoleService,
		},
		"WholeNameComesFirst": {
			claim:  "realm_access.roles",
			fields: func() map[string]any { f := keycloak("service"); f["realm_access.roles"] = "agent"; return f }(),
			want:   token.RoleAgent,
		},
		"Object": { // Zitadel
			claim:  "urn:zitadel:iam:org:project:roles",
			fields: with("urn:zitadel:iam:org:project:roles", map[string]any{"supervisor": map[string]string{"1": "a.test"}}),
			want:   token.RoleSupervisor,
		},
		"Mapped": {
			roles: token.RoleOptions{Map: mapping}, fields: with("role", "rte-service"), want: token.RoleService,
		},
		"MappedInOrder": {
			roles: token.RoleOptions{Map: mapping}, fields: with("role", []string{"rte-service", "rte-supervisor"}),
			want: token.RoleSupervisor,
		},
		"MappedOnly": {roles: token.RoleOptions{Map: mapping}, fields: with("role", "service"), want: refused},
		"DefaultForUnknown": {
			roles: token.RoleOptions{Default: token.RoleAgent}, fields: with("role", "x"), want: token.RoleAgent,
		},
		"DefaultForAbsent": {
			roles: token.RoleOptions{Default: token.RoleSupervisor}, fields: fields(), want: token.RoleSupervisor,
		},
		"NoDefault": {roles: token.RoleOptions{Default: token.NoRole}, fields: fields(), want: refused},
		"NoDefaultUnknown": {
			roles: token.RoleOptions{Default: token.NoRole}, fields: with("role", []string{"x"}), want: refused,
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := standard()
			o.Claims.Role, o.Roles = test.claim, test.roles
			claims, err := mustVerifier(t, o).Verify(mustHS256(t, test.fields))
			if test.want == refused {
				claim := test.claim
				if claim == "" {
					claim = "role"
				}
				if !errors.Is(err, token.ErrClaims) || token.Claim(err) != claim {
					t.Errorf("got %+v, %v", claims, err)
				}
				return
			}
			if err != nil || claims.Role != test.want {
				t.Errorf("got %+v, %v; want %s", claims, err, test.want)
			}
		})
	}
}

// Two members of one name in a nested object are refused too: readers would understand the token differently.
func TestVerify_nestedMemberTwice(t *testing.T) {
	o := standard()
	o.Claims.Role = "realm_access.roles"
	claims := mustJSON(fields())
	claims = claims[:len(claims)-1] + `,"realm_access":{"roles":["agent"],"roles":["service"]}}`
	verifies(t, mustVerifier(t, o), mustHeaderAndClaims(t, `{"alg":"HS256"}`, claims), token.ErrClaims)
}

func TestVerify_defaultRoleIsLogged(t *testing.T) {
	for name, test := range map[string]struct {
		claim   string
		options token.RoleOptions
		fields  map[string]any
		logged  int
	}{
		"Unknown": {
			options: token.RoleOptions{Default: token.RoleAgent}, fields: with("role", "x"), logged: 2,
		},
		"AbsentWhereClaimIsGiven": {claim: "realm_access.roles", fields: fields(), logged: 2},
		"AbsentWhereRolesAreMapped": {
			options: token.RoleOptions{Map: []token.RoleMapping{{"x", token.RoleService}}}, fields: fields(), logged: 2,
		},
		"AbsentByDefault": {fields: fields()},
		"Known":           {claim: "r", fields: with("r", "agent")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				core, logs := observer.New(zap.DebugLevel)
				o := uncached()
				o.Claims.Role, o.Roles, o.Logger, o.Require.Leeway = test.claim, test.options, zap.New(core), time.Hour
				verifier := mustVerifier(t, o)
				test.fields["exp"], test.fields["nbf"] = time.Now().Unix()+3600, 0
				compact := mustHS256(t, test.fields)
				for range 60 { // every two seconds for two minutes
					verifies(t, verifier, compact, nil)
					time.Sleep(2 * time.Second)
				}
				if logs.Len() != test.logged {
					t.Errorf("%d entries: %v", logs.Len(), logs.All())
				}
			})
		})
	}
}

func TestParseRoleMapping(t *testing.T) {
	for text, want := range map[string]*token.RoleMapping{
		"rte-supervisor=supervisor": {"rte-supervisor", token.RoleSupervisor},
		" CN=rte,DC=a = service ":   {"CN=rte,DC=a", token.RoleService},
		"supervisor":                nil,
		"=agent":                    nil,
		"x=":                        nil,
		"x=admin":                   nil,
	} {
		got, err := token.ParseRoleMapping(text)
		if (err == nil) != (want != nil) || want != nil && !cmp.Equal(*want, got) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func TestCheckClaim(t *testing.T) {
	for path, ok := range map[string]bool{
		"role": true, "realm_access.roles": true, "https://id.test/roles": true, "cognito:groups": true, `a\.b.c`: true,
		"urn:zitadel:iam:org:project:roles": true, "sub": true,
		"": false, " role": false, "a b": false, "a..b": false, ".a": false, "a.": false, "$.roles": false, "/roles": false,
		"roles[0]": false, "roles[*].name": false, `a\b`: false, `a\`: false, "sub.id": false, "aud.x": false, "exp": false,
		"iat": false, "nbf": false,
	} {
		if err := token.CheckClaim(path); (err == nil) != ok {
			t.Errorf("%q: %v", path, err)
		}
	}
}
