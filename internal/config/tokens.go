package config

import (
	"fmt"
	"strings"

	"github.com/rte-server/rte-server/internal/authz/token"
)

// KeySets returns the key sets of auth.jwks_url.
func (c *Auth) KeySets() (sets []token.KeySetOptions, err error) {
	for _, text := range c.JWKSURL {
		set, err := token.ParseKeySet(text)
		if err != nil {
			return nil, fmt.Errorf("auth.jwks_url: %w", err)
		}
		sets = append(sets, set)
	}
	return sets, nil
}

// Requirements returns what a token must meet.
func (c *Auth) Requirements() (token.Requirements, error) {
	r := token.Requirements{
		Issuers: c.Issuer, Tenants: c.Tenants, Audiences: c.Audience, AudienceClaims: c.AudienceClaims,
		Scopes: c.RequiredScopes, Leeway: c.Leeway, Expiry: c.RequireExpiry,
	}
	for _, text := range c.RequiredClaims {
		claim, err := token.ParseRequiredClaim(text)
		if err != nil {
			return r, fmt.Errorf("auth.required_claims: %w", err)
		}
		r.Claims = append(r.Claims, claim)
	}
	return r, nil
}

// RoleOptions returns how the role claim becomes a role.
func (c *Auth) RoleOptions() (token.RoleOptions, error) {
	o := token.RoleOptions{Default: token.Role(c.DefaultRole)}
	if c.DefaultRole == "auto" {
		o.Default = ""
	}
	for _, text := range c.Roles {
		mapping, err := token.ParseRoleMapping(text)
		if err != nil {
			return o, fmt.Errorf("auth.roles: %q: %w", text, err)
		}
		o.Map = append(o.Map, mapping)
	}
	return o, nil
}

// ClaimNames returns the configured paths of claims.
func (c *Auth) ClaimNames() token.ClaimNames {
	return token.ClaimNames{
		User: c.Claims.User, Organization: c.Claims.Organization, Organizations: c.Claims.Organizations,
		Role: c.Claims.Role, Grants: c.Claims.Grants, TokenID: c.Claims.TokenID,
	}
}

// checkTokens finds settings of tokens that are wrong or that no token can ever match.
func (p *problems) checkTokens(c *Auth) {
	for _, claim := range []struct{ key, path string }{
		{"auth.claims.user", c.Claims.User},
		{"auth.claims.organization", c.Claims.Organization},
		{"auth.claims.organizations", c.Claims.Organizations},
		{"auth.claims.role", c.Claims.Role},
		{"auth.claims.grants", c.Claims.Grants},
		{"auth.claims.token_id", c.Claims.TokenID},
	} {
		if err := token.CheckClaim(claim.path); err != nil {
			p.add(claim.key, "%q %v", claim.path, err)
		}
	}
	sets, err := c.KeySets()
	p.addError(err)
	roles, err := c.RoleOptions()
	p.addError(err)
	if err := roles.Check(); err != nil {
		p.add("auth.roles", "%v", err)
	}
	requirements, err := c.Requirements()
	p.addError(err)
	ofSets := token.Requirements{Tenants: c.Tenants}
	for _, check := range []struct {
		key string
		err error
	}{
		{"auth.audience_claims", requirements.CheckAudienceClaims()},
		{"auth.required_scopes", requirements.CheckScopes()},
		{"auth.tenants", requirements.CheckTenants(sets)},
		{"auth.issuer", requirements.CheckIssuers(nil)},
		{"auth.jwks_url", ofSets.CheckIssuers(sets)},
	} {
		if check.err != nil {
			p.add(check.key, "%v", check.err)
		}
	}
}

// addError adds err, which begins with its key. nil adds nothing.
func (p *problems) addError(err error) {
	if err != nil {
		*p = append(*p, err)
	}
}

// addKeySets warns of key sets whose tokens for other applications are accepted.
func (w *warnings) addKeySets(c *Auth) {
	if len(c.JWKSURL) == 0 || len(c.Audience) > 0 || len(c.RequiredScopes) > 0 || len(c.RequiredClaims) > 0 {
		return
	}
	anyIssuer := len(c.Issuer) == 0
	for _, text := range c.JWKSURL {
		anyIssuer = anyIssuer && len(strings.Fields(text)) == 1
	}
	w.add(anyIssuer, "auth.jwks_url",
		"unsafe without auth.issuer and auth.audience: every token of the identity provider "+
			"is accepted, whatever application and tenant it was issued for")
	w.add(!anyIssuer, "auth.audience", "unsafe if it is not set: tokens that the identity provider issued for other "+
		"applications are accepted")
}
