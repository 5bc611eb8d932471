package authz

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/rte-server/rte-server/internal/events"
)

// Bounds on what a signed token may carry. Its size is bounded too (VerifierOptions.MaxTokenSize); these keep the
// claims of a session small and a decision cheap.
const (
	maxOrganizations = 64
	maxGrants        = 256
	maxTokenID       = 256
)

// ClaimNames are the names under which a token carries what Claims need. Empty names mean the defaults in the
// comments. The registered claims exp, nbf, iat, iss and aud (RFC 7519, section 4.1) have no other names.
type ClaimNames struct {
	User          string // sub
	Organization  string // org
	Role          string // role
	Organizations string // orgs
	Grants        string // grants
	TokenID       string // jti
}

// withDefaults fills in the names that are empty.
func (n ClaimNames) withDefaults() ClaimNames {
	for _, name := range []struct {
		of    *string
		value string
	}{
		{&n.User, "sub"},
		{&n.Organization, "org"},
		{&n.Role, "role"},
		{&n.Organizations, "orgs"},
		{&n.Grants, "grants"},
		{&n.TokenID, "jti"},
	} {
		if *name.of == "" {
			*name.of = name.value
		}
	}
	return n
}

// payload is the claims set of a token, read but not yet believed. It is decoded by hand because encoding/json takes
// the last of two claims of one name and matches names in any case; either lets a token say one thing to one reader
// and another to the next (RFC 7519, section 4).
type payload struct {
	fields map[string]json.RawMessage
	// The registered claims, as jwt.Validator asks for them.
	issuer                         string
	audience                       jwt.ClaimStrings
	expiresAt, notBefore, issuedAt *jwt.NumericDate
}

var _ jwt.Claims = (*payload)(nil)

func (p *payload) GetExpirationTime() (*jwt.NumericDate, error) { return p.expiresAt, nil }
func (p *payload) GetIssuedAt() (*jwt.NumericDate, error)       { return p.issuedAt, nil }
func (p *payload) GetNotBefore() (*jwt.NumericDate, error)      { return p.notBefore, nil }
func (p *payload) GetIssuer() (string, error)                   { return p.issuer, nil }
func (p *payload) GetAudience() (jwt.ClaimStrings, error)       { return p.audience, nil }
func (p *payload) GetSubject() (string, error)                  { return "", nil }

// UnmarshalJSON reads a claims set. The error wraps ErrTokenBadClaims.
func (p *payload) UnmarshalJSON(data []byte) error {
	fields, err := uniqueFields(data)
	if err != nil {
		return err
	}
	p.fields = fields
	for name, to := range map[string]**jwt.NumericDate{"exp": &p.expiresAt, "nbf": &p.notBefore, "iat": &p.issuedAt} {
		if *to, err = p.date(name); err != nil {
			return err
		}
	}
	if p.issuer, err = p.text("iss"); err != nil {
		return err
	}
	return p.into("aud", &p.audience)
}

// claims makes Claims of a payload whose signature and times are verified.
func (p *payload) claims(names *ClaimNames) (*Claims, error) {
	claims := &Claims{}
	var err error
	if claims.User, err = p.id(names.User); err != nil {
		return nil, err
	}
	if claims.Organization, err = p.id(names.Organization); err != nil {
		return nil, err
	}
	if claims.Organizations, err = p.organizations(names.Organizations, claims.Organization); err != nil {
		return nil, err
	}
	if claims.Grants, err = p.grants(names.Grants); err != nil {
		return nil, err
	}
	role, err := p.text(names.Role)
	if err != nil {
		return nil, err
	}
	if claims.Role, err = ParseRole(role); err != nil {
		return nil, badClaim(names.Role, err.Error())
	}
	if claims.TokenID, err = p.text(names.TokenID); err != nil {
		return nil, err
	}
	if len(claims.TokenID) > maxTokenID {
		return nil, badClaim(names.TokenID, "too long")
	}
	if p.issuedAt != nil {
		claims.IssuedAt = p.issuedAt.Time
	}
	if p.expiresAt != nil {
		claims.ExpiresAt = p.expiresAt.Time
	}
	return claims, nil
}

func (p *payload) organizations(name string, home events.ID) ([]events.ID, error) {
	var texts []string
	if err := p.into(name, &texts); err != nil {
		return nil, err
	}
	if len(texts) > maxOrganizations {
		return nil, badClaim(name, "too many")
	}
	var ids []events.ID
	for _, text := range texts {
		id, ok := events.ParseID(text)
		if !ok {
			return nil, badClaim(name, "not a list of GUIDs")
		}
		if id != home {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func (p *payload) grants(name string) ([]Grant, error) {
	var items []json.RawMessage
	if err := p.into(name, &items); err != nil {
		return nil, err
	}
	if len(items) > maxGrants {
		return nil, badClaim(name, "too many")
	}
	var grants []Grant
	for _, item := range items {
		fields, err := uniqueFields(item)
		if err != nil {
			return nil, err
		}
		one := payload{fields: fields}
		entity, err := one.text("entity")
		if err != nil {
			return nil, err
		}
		event, err := one.text("event")
		if err != nil {
			return nil, err
		}
		// A restriction that this server does not know must not widen the grant by being ignored.
		for field := range fields {
			if field != "entity" && field != "event" {
				return nil, badClaim(name, "a grant has an unknown member")
			}
		}
		grant, err := newGrant(entity, event)
		if err != nil {
			return nil, badClaim(name, err.Error())
		}
		grants = append(grants, grant)
	}
	return grants, nil
}

// into decodes the claim into the value; an absent claim leaves it as it is.
func (p *payload) into(name string, value any) error {
	raw, ok := p.fields[name]
	if !ok {
		return nil
	}
	if bytes.Equal(raw, []byte("null")) || json.Unmarshal(raw, value) != nil {
		return badClaim(name, "of a wrong type")
	}
	return nil
}

// text is the claim as a string; absent: empty.
func (p *payload) text(name string) (text string, err error) {
	err = p.into(name, &text)
	return text, err
}

// id is the claim as a GUID. It must be there.
func (p *payload) id(name string) (events.ID, error) {
	text, err := p.text(name)
	if err != nil {
		return events.ID{}, err
	}
	id, ok := events.ParseID(text)
	if !ok {
		return events.ID{}, badClaim(name, "not a GUID")
	}
	return id, nil
}

// lastSecond is the end of the year 9999: a time beyond it is no time (and would overflow the arithmetic on it).
const lastSecond = 253402300799

// date is the claim as a NumericDate: seconds since 1970, possibly with a fraction. Absent: nil.
func (p *payload) date(name string) (*jwt.NumericDate, error) {
	if _, ok := p.fields[name]; !ok {
		return nil, nil //nolint:nilnil // as jwt.Claims has it: no such claim and no error
	}
	var seconds float64
	if err := p.into(name, &seconds); err != nil {
		return nil, err
	}
	if seconds < 0 || seconds > lastSecond {
		return nil, badClaim(name, "out of range")
	}
	whole, fraction := math.Modf(seconds)
	return &jwt.NumericDate{Time: time.Unix(int64(whole), int64(fraction*float64(time.Second)))}, nil
}

// uniqueFields splits a JSON object into its members. Two of one name are an error, as is anything but an object.
func uniqueFields(data []byte) (map[string]json.RawMessage, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return nil, fmt.Errorf("%w: not a JSON object", ErrTokenBadClaims)
	}
	fields := map[string]json.RawMessage{}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, fmt.Errorf("%w: not a JSON object", ErrTokenBadClaims)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, fmt.Errorf("%w: not a JSON object", ErrTokenBadClaims)
		}
		text, _ := name.(string) // a member name, since the object is valid so far
		if _, double := fields[text]; double {
			return nil, fmt.Errorf("%w: a member occurs twice", ErrTokenBadClaims)
		}
		fields[text] = value
	}
	return fields, nil
}

// badClaim names the claim, which is configuration, and never its value.
func badClaim(name, what string) error {
	return fmt.Errorf("%w: claim %q: %s", ErrTokenBadClaims, name, what)
}
