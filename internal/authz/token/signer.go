package token

import (
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/rte-server/rte-server/internal/events"
)

// SignerOptions configure a Signer.
type SignerOptions struct {
	Secret  string
	Require Requirements // the tokens meet them, with the first of several issuers, tenants and audiences
	Claims  ClaimNames
	Roles   RoleOptions
}

// Signer signs tokens by HS256 that a Verifier with the same options accepts. It is for the command line and for
// development.
type Signer struct {
	options SignerOptions
	names   ClaimNames
}

// NewSigner makes a signer.
func NewSigner(o SignerOptions) *Signer { return &Signer{options: o, names: o.Claims.withDefaults()} }

// Sign makes a token that is valid from now for ttl; 0: until Claims.ExpiresAt, or for ever if that is zero. Claims
// without a token id get a new one. The token is issued now, whatever Claims.IssuedAt is.
func (s *Signer) Sign(claims Claims, ttl time.Duration) (string, error) {
	now := time.Now()
	if claims.TokenID == "" {
		claims.TokenID = events.NewID().String()
	}
	fields := jwt.MapClaims{"iat": now.Unix(), "nbf": now.Unix()}
	s.meetRequirements(fields)
	fields[s.names.User] = claims.User.String()
	fields[s.names.Organization] = claims.Organization.String()
	fields[s.names.TokenID] = claims.TokenID
	if claims.Role != "" {
		fields[s.names.Role] = s.valueOf(claims.Role)
	}
	if len(claims.Organizations) > 0 {
		texts := make([]string, len(claims.Organizations))
		for i, id := range claims.Organizations {
			texts[i] = id.String()
		}
		fields[s.names.Organizations] = texts
	}
	if len(claims.Grants) > 0 {
		fields[s.names.Grants] = grantFields(claims.Grants)
	}
	switch {
	case ttl != 0:
		fields["exp"] = now.Add(ttl).Unix()
	case !claims.ExpiresAt.IsZero():
		fields["exp"] = claims.ExpiresAt.Unix()
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, fields).SignedString([]byte(s.options.Secret))
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return token, nil
}

// meetRequirements adds the claims that the options require.
func (s *Signer) meetRequirements(fields jwt.MapClaims) {
	r := &s.options.Require
	for _, c := range r.Claims {
		fields[c.Claim] = c.Value
	}
	if len(r.Scopes) > 0 {
		fields["scope"] = strings.Join(r.Scopes, " ")
	}
	if len(r.Issuers) > 0 {
		fields["iss"] = r.Issuers[0]
		if all, err := expandIssuer(r.Issuers[0], r.Tenants); err == nil {
			fields["iss"] = all[0]
		}
	}
	if len(r.Audiences) > 0 {
		claim := claimAudience
		if len(r.AudienceClaims) > 0 {
			claim = r.AudienceClaims[0]
		}
		fields[claim] = r.Audiences[0]
	}
}

// valueOf returns the value of the role claim for a role.
func (s *Signer) valueOf(role Role) string {
	for _, m := range s.options.Roles.Map {
		if m.Role == role {
			return m.Value
		}
	}
	return string(role)
}

func grantFields(grants []Grant) []map[string]string {
	list := make([]map[string]string, len(grants))
	for i, g := range grants {
		list[i] = map[string]string{}
		if (g.Entity != events.ID{}) {
			list[i]["entity"] = g.Entity.String()
		}
		if g.Event != "" {
			list[i]["event"] = g.Event
		}
	}
	return list
}
