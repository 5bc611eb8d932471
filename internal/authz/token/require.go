package token

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rte-server/rte-server/internal/jsonscan"
)

// Requirements are the conditions that a token must meet, besides its signature.
type Requirements struct {
	// Issuers are the accepted values of iss, in addition to those of key sets. Empty: iss is not checked. An issuer
	// may contain {tenantid}, which stands for each of Tenants.
	Issuers []string
	// Tenants are the values of {tenantid} in Issuers and in the issuers of key sets.
	Tenants []string
	// Audiences are the accepted values of aud, of which the token must have one. Empty: aud is not checked.
	Audiences []string
	// AudienceClaims are the claims in which Audiences are looked for: aud, client_id, azp. Default: aud.
	AudienceClaims []string
	// Scopes are the values that scope or scp must have, all of them.
	Scopes []string
	// Claims are the claims that the token must have, all of them.
	Claims []RequiredClaim
	// Leeway is the tolerated difference between the clock of an issuer and ours. Default 0.
	Leeway time.Duration
	// Expiry refuses tokens without exp.
	Expiry bool
}

// RequiredClaim is a claim that a token must have, with a value: a string, a number, true or false, or a list that
// contains it.
type RequiredClaim struct {
	Claim string // the path
	Value string
}

// ParseRequiredClaim reads a required claim from configuration: CLAIM=VALUE.
func ParseRequiredClaim(text string) (RequiredClaim, error) {
	claim, value, ok := strings.Cut(text, "=")
	if !ok {
		return RequiredClaim{}, errors.New("want CLAIM=VALUE")
	}
	c := RequiredClaim{strings.TrimSpace(claim), strings.TrimSpace(value)}
	if _, err := parsePath(c.Claim); err != nil {
		return RequiredClaim{}, fmt.Errorf("%q %w", c.Claim, err)
	}
	if c.Value == "" {
		return RequiredClaim{}, errors.New("an empty value is not supported, want CLAIM=VALUE")
	}
	return c, nil
}

// The claims that can name the audience of a token: aud (RFC 7519, section 4.1.3), client_id (RFC 9068, section 2.2)
// and azp (OpenID Connect Core 1.0, section 2).
const (
	claimAudience        = "aud"
	claimClientID        = "client_id"
	claimAuthorizedParty = "azp"
)

// check returns an error for requirements that are wrong or that no token can meet. sets are the key sets of the
// verifier.
func (r *Requirements) check(sets []KeySetOptions) error {
	if r.Leeway < 0 {
		return errors.New("token: VerifierOptions.Require.Leeway is negative")
	}
	for _, check := range []struct {
		field string
		err   error
	}{
		{"AudienceClaims", r.CheckAudienceClaims()},
		{"Scopes", r.CheckScopes()},
		{"Tenants", r.CheckTenants(sets)},
		{"Issuers", r.CheckIssuers(sets)},
	} {
		if check.err != nil {
			return fmt.Errorf("token: VerifierOptions.Require.%s: %w", check.field, check.err)
		}
	}
	return nil
}

// CheckAudienceClaims returns an error if AudienceClaims are wrong or without effect.
func (r *Requirements) CheckAudienceClaims() error {
	for _, claim := range r.AudienceClaims {
		if claim != claimAudience && claim != claimClientID && claim != claimAuthorizedParty {
			return fmt.Errorf("%q: want aud, client_id or azp", claim)
		}
	}
	if len(r.AudienceClaims) > 0 && len(r.Audiences) == 0 {
		return errors.New("has no effect without an audience")
	}
	return nil
}

// CheckScopes returns an error if one of Scopes can never match.
func (r *Requirements) CheckScopes() error {
	for _, scope := range r.Scopes {
		if scope == "" || strings.ContainsAny(scope, " \t") {
			return fmt.Errorf("%q can never match: a scope is one word", scope)
		}
	}
	return nil
}

// requiredClaim is a parsed RequiredClaim.
type requiredClaim struct {
	path  path
	value string
}

// parse reads the required claims.
func (r *Requirements) parse() (claims []requiredClaim, err error) {
	for _, c := range r.Claims {
		p, err := parsePath(c.Claim)
		if err != nil {
			return nil, fmt.Errorf("token: VerifierOptions.Require.Claims: %q %w", c.Claim, err)
		}
		claims = append(claims, requiredClaim{p, c.Value})
	}
	return claims, nil
}

// checkAudience checks that a token is for one of the audiences. AudienceClaims must have their default.
func (r *Requirements) checkAudience(p *payload) error {
	if len(r.Audiences) == 0 {
		return nil
	}
	for _, claim := range r.AudienceClaims {
		values := []string(p.audience)
		if claim != claimAudience {
			var err error
			if values, err = p.texts(claim); err != nil {
				return err
			}
		}
		if slices.ContainsFunc(values, func(value string) bool { return slices.Contains(r.Audiences, value) }) {
			return nil
		}
	}
	return &ClaimError{ErrAudience, strings.Join(r.AudienceClaims, ", "), "absent or not accepted"}
}

// checkScopes checks that a token has all required scopes.
func (r *Requirements) checkScopes(p *payload) error {
	if len(r.Scopes) == 0 {
		return nil
	}
	claim, scopes := "scope", []string(nil)
	for _, name := range []string{"scope", "scp"} {
		values, err := p.texts(name)
		if err != nil {
			return err
		}
		if values != nil {
			claim = name
		}
		for _, value := range values { // separated by spaces (RFC 6749, section 3.3), or a list
			scopes = append(scopes, strings.Fields(value)...)
		}
	}
	for _, scope := range r.Scopes {
		if !slices.Contains(scopes, scope) {
			return badClaim(claim, "absent or without a required scope")
		}
	}
	return nil
}

// check checks that a token has the claim with the value.
func (c *requiredClaim) check(p *payload) error {
	value, ok, err := c.path.find(p.object)
	if err != nil {
		return err
	}
	switch {
	case !ok:
		return badClaim(c.path.text, "required, but absent")
	case c.is(value):
		return nil
	case value[0] == '[':
		found := false
		if err := jsonscan.Elements(value, jsonLevels, func(element []byte) error {
			found = found || c.is(element)
			return nil
		}); err == nil && found {
			return nil
		}
	}
	return badClaim(c.path.text, "not of the required value")
}

// is reports whether a string, a number, true or false is the required value.
func (c *requiredClaim) is(value []byte) bool {
	if text, ok := jsonscan.Unquote(value); ok {
		return string(text) == c.value
	}
	return value[0] != '{' && value[0] != '[' && bytes.Equal(value, []byte(c.value))
}
