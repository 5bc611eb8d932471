package token

import (
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/rte-server/rte-server/internal/events"
)

// Signer makes tokens that a Verifier with the same secret accepts: for the command line and for development. In
// production the tokens come from elsewhere.
type Signer struct {
	secret           []byte
	issuer, audience string
	names            ClaimNames
}

// NewSigner makes a signer for HS256. Issuer and audience are left out of the tokens where they are empty.
func NewSigner(secret, issuer, audience string) *Signer {
	return &Signer{secret: []byte(secret), issuer: issuer, audience: audience, names: ClaimNames{}.withDefaults()}
}

// WithNames is a signer that uses other names for the claims; it must agree with VerifierOptions.Claims.
func (s *Signer) WithNames(names ClaimNames) *Signer {
	named := *s
	named.names = names.withDefaults()
	return &named
}

// Sign makes a token that is valid from now for the given time; ttl 0: until Claims.ExpiresAt, or for ever if that is
// zero. A token id is made up if the claims have none; IssuedAt is now.
func (s *Signer) Sign(claims Claims, ttl time.Duration) (string, error) {
	now := time.Now()
	if claims.TokenID == "" {
		claims.TokenID = events.NewID().String()
	}
	fields := jwt.MapClaims{
		s.names.User:         claims.User.String(),
		s.names.Organization: claims.Organization.String(),
		s.names.TokenID:      claims.TokenID,
		"iat":                now.Unix(),
		"nbf":                now.Unix(),
	}
	if claims.Role != "" {
		fields[s.names.Role] = string(claims.Role)
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
	if s.issuer != "" {
		fields["iss"] = s.issuer
	}
	if s.audience != "" {
		fields["aud"] = s.audience
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, fields).SignedString(s.secret)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return token, nil
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
