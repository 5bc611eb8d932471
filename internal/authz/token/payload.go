package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
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

// payload is the claims set of a token, read but not yet believed.
type payload struct {
	object
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

// read reads a claims set, which must be valid JSON and is kept; null is one without claims. The error wraps
// ErrClaims.
func (p *payload) read(data []byte) (err error) {
	if string(bytes.TrimSpace(data)) == "null" {
		return nil
	}
	if p.object, err = parseObject(data); err != nil {
		return fmt.Errorf("%w: %w", ErrClaims, err)
	}
	if p.expiresAt, err = p.date("exp"); err != nil {
		return err
	}
	if p.notBefore, err = p.date("nbf"); err != nil {
		return err
	}
	if p.issuedAt, err = p.date("iat"); err != nil {
		return err
	}
	if p.issuer, err = p.text("iss"); err != nil {
		return err
	}
	p.audience, err = p.texts("aud")
	return err
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
	texts, err := p.texts(name)
	if err != nil {
		return nil, err
	}
	if value, _ := p.get(name); len(value) > 0 && value[0] != '[' {
		return nil, badClaim(name, "not a list")
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
	value, ok := p.get(name)
	if !ok {
		return nil, nil
	}
	var items []json.RawMessage
	if value[0] != '[' || json.Unmarshal(value, &items) != nil {
		return nil, badClaim(name, "not a list")
	}
	if len(items) > maxGrants {
		return nil, badClaim(name, "too many")
	}
	grants := make([]Grant, len(items))
	for i, item := range items {
		var err error
		if grants[i], err = parseGrant(item); err != nil {
			return nil, badClaim(name, err.Error())
		}
	}
	return grants, nil
}

// parseGrant reads one grant of a token.
func parseGrant(item json.RawMessage) (Grant, error) {
	o, err := parseObject(item)
	if err != nil {
		return Grant{}, err
	}
	one := payload{object: o}
	entity, err := one.text("entity")
	if err != nil {
		return Grant{}, err
	}
	event, err := one.text("event")
	if err != nil {
		return Grant{}, err
	}
	// A restriction that this server does not know must not widen the grant by being ignored.
	for i := range o {
		if name := string(o[i].name); name != "entity" && name != "event" {
			return Grant{}, errors.New("a grant has an unknown member")
		}
	}
	return newGrant(entity, event)
}

// text is the claim as a string; absent: empty.
func (p *payload) text(name string) (string, error) {
	text, err := p.unquote(name)
	return string(text), err
}

// unquote is text without the copy.
func (p *payload) unquote(name string) ([]byte, error) {
	value, ok := p.get(name)
	if !ok {
		return nil, nil
	}
	text, err := unquote(value)
	if err != nil {
		return nil, badClaim(name, "not a string")
	}
	return text, nil
}

// texts is the claim, a string or a list of strings; absent: nil.
func (p *payload) texts(name string) ([]string, error) {
	value, ok := p.get(name)
	if !ok {
		return nil, nil
	}
	if value[0] == '"' {
		one, err := p.text(name)
		return []string{one}, err
	}
	var list []string
	if value[0] != '[' || json.Unmarshal(value, &list) != nil {
		return nil, badClaim(name, "not a list of strings")
	}
	return list, nil
}

// id is the claim as a GUID. It must be there.
func (p *payload) id(name string) (events.ID, error) {
	text, err := p.unquote(name)
	if err != nil {
		return events.ID{}, err
	}
	id, ok := events.ParseID(text)
	if !ok {
		return events.ID{}, badClaim(name, "not a GUID")
	}
	return id, nil
}

// lastSecond is the end of the year 9999 in UTC: a time beyond it is no time (and would overflow the arithmetic on it).
const lastSecond = 253402300799

// date is the claim as a NumericDate in UTC: seconds since 1970, possibly with a fraction. Absent: nil.
func (p *payload) date(name string) (*jwt.NumericDate, error) {
	value, ok := p.get(name)
	if !ok {
		return nil, nil //nolint:nilnil // as jwt.Claims has it: no such claim and no error
	}
	seconds, err := strconv.ParseFloat(string(value), 64)
	if err != nil { // what else is valid JSON is no number to ParseFloat
		return nil, badClaim(name, "not a number")
	}
	if seconds < 0 || seconds > lastSecond {
		return nil, badClaim(name, "out of range")
	}
	whole, fraction := math.Modf(seconds)
	return &jwt.NumericDate{Time: time.Unix(int64(whole), int64(fraction*float64(time.Second))).UTC()}, nil
}

// badClaim names the claim, which is configuration, and never its value.
func badClaim(name, what string) error {
	return fmt.Errorf("%w: claim %q: %s", ErrClaims, name, what)
}
