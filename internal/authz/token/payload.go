package token

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/jsonscan"
)

// Bounds of the content of a signed token. VerifierOptions.MaxSize bounds its size too; these keep the claims of a
// session small and a decision cheap.
const (
	maxOrganizations = 64
	maxGrants        = 256
	maxTokenID       = 256
)

// payload is the claims set of a token, parsed but not verified.
type payload struct {
	object
	// The registered claims, for jwt.Validator.
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

// read parses a claims set, which must be valid JSON and must not change afterwards; null has no claims. The error
// wraps ErrClaims.
func (p *payload) read(data []byte) (err error) {
	if string(bytes.TrimSpace(data)) == "null" {
		return nil
	}
	if p.object, err = parseObject(data); err != nil {
		if errors.Is(err, jsonscan.ErrSyntax) {
			err = errNotObject
		}
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
	if value, ok := p.get("iss"); ok {
		issuer, err := unquote(value)
		if err != nil {
			return badClaim("iss", err.Error())
		}
		p.issuer = string(issuer)
	}
	p.audience, err = p.texts(claimAudience)
	return err
}

// claims makes the Claims of a verified payload, without the role.
func (p *payload) claims(paths *claimPaths) (*Claims, error) {
	claims := &Claims{}
	var err error
	if claims.User, err = p.id(&paths.user); err != nil {
		return nil, err
	}
	if claims.Organization, err = p.id(&paths.organization); err != nil {
		return nil, err
	}
	if claims.Organizations, err = p.ids(&paths.organizations, claims.Organization); err != nil {
		return nil, err
	}
	if claims.Grants, err = p.grants(&paths.grants); err != nil {
		return nil, err
	}
	if claims.TokenID, err = p.text(&paths.tokenID); err != nil {
		return nil, err
	}
	if len(claims.TokenID) > maxTokenID {
		return nil, badClaim(paths.tokenID.text, "too long")
	}
	if p.issuedAt != nil {
		claims.IssuedAt = p.issuedAt.Time
	}
	if p.expiresAt != nil {
		claims.ExpiresAt = p.expiresAt.Time
	}
	return claims, nil
}

// ids returns the claim as a list of GUIDs, without home. Absent: nil.
func (p *payload) ids(claim *path, home events.ID) (ids []events.ID, err error) {
	value, ok, err := claim.find(p.object)
	if !ok || err != nil {
		return nil, err
	}
	n := 0
	err = jsonscan.Elements(value, jsonLevels, func(element []byte) error {
		if n++; n > maxOrganizations {
			return badClaim(claim.text, "too many")
		}
		text, _ := jsonscan.Unquote(element)
		id, ok := events.ParseID(text)
		if !ok {
			return badClaim(claim.text, "not a list of GUIDs")
		}
		if id != home {
			ids = append(ids, id)
		}
		return nil
	})
	if errors.Is(err, jsonscan.ErrSyntax) {
		err = badClaim(claim.text, "not a list")
	}
	return ids, err
}

// grants returns the claim as a list of grants. Absent: nil.
func (p *payload) grants(claim *path) (grants []Grant, err error) {
	value, ok, err := claim.find(p.object)
	if !ok || err != nil {
		return nil, err
	}
	err = jsonscan.Elements(value, jsonLevels, func(element []byte) error {
		if len(grants) == maxGrants {
			return badClaim(claim.text, "too many")
		}
		grant, err := parseGrant(element)
		if err != nil {
			return badClaim(claim.text, err.Error())
		}
		grants = append(grants, grant)
		return nil
	})
	if errors.Is(err, jsonscan.ErrSyntax) {
		err = badClaim(claim.text, "not a list")
	}
	return grants, err
}

// parseGrant reads one grant of a token.
func parseGrant(element []byte) (Grant, error) {
	o, err := parseObject(element)
	if err != nil {
		return Grant{}, errors.New("a grant is not an object, or has a member twice or too many")
	}
	var entity, event []byte
	for i := range o {
		var to *[]byte
		switch string(o[i].name) {
		case "entity":
			to = &entity
		case "event":
			to = &event
		default: // a restriction that this server does not know must not widen the grant by being ignored
			return Grant{}, errors.New("a grant has an unknown member")
		}
		if *to, err = unquote(o[i].value); err != nil {
			return Grant{}, err
		}
	}
	return newGrant(string(entity), string(event))
}

func unquote(value []byte) ([]byte, error) {
	text, ok := jsonscan.Unquote(value)
	if !ok {
		return nil, errors.New("not a string")
	}
	return text, nil
}

// text returns the claim as a string. Absent: empty.
func (p *payload) text(claim *path) (string, error) {
	text, err := p.unquote(claim)
	return string(text), err
}

// unquote returns what text returns, without a copy.
func (p *payload) unquote(claim *path) ([]byte, error) {
	value, ok, err := claim.find(p.object)
	if !ok || err != nil {
		return nil, err
	}
	text, err := unquote(value)
	if err != nil {
		return nil, badClaim(claim.text, err.Error())
	}
	return text, nil
}

// texts returns a claim of the standards, a string or a list of strings, as a list. Absent: nil.
func (p *payload) texts(name string) ([]string, error) {
	value, ok := p.get(name)
	if !ok {
		return nil, nil
	}
	if text, ok := jsonscan.Unquote(value); ok {
		return []string{string(text)}, nil
	}
	list, err := stringList(value)
	if err != nil {
		return nil, badClaim(name, "not a string or a list of strings")
	}
	return list, nil
}

// stringList reads a list of strings, which is not nil.
func stringList(value []byte) ([]string, error) {
	list := []string{}
	err := jsonscan.Elements(value, jsonLevels, func(element []byte) error {
		text, err := unquote(element)
		list = append(list, string(text))
		return err
	})
	return list, err
}

// id returns the claim as a GUID. The claim is required.
func (p *payload) id(claim *path) (events.ID, error) {
	text, err := p.unquote(claim)
	if err != nil {
		return events.ID{}, err
	}
	id, ok := events.ParseID(text)
	if !ok {
		return events.ID{}, badClaim(claim.text, "absent or not a GUID")
	}
	return id, nil
}

// lastSecond is the end of the year 9999 in UTC. A later time is refused: it would overflow the arithmetic with times.
const lastSecond = 253402300799

// date returns a registered claim as a NumericDate in UTC: seconds since 1970, possibly with a fraction. Absent: nil.
func (p *payload) date(name string) (*jwt.NumericDate, error) {
	value, ok := p.get(name)
	if !ok {
		return nil, nil //nolint:nilnil // jwt.Claims wants it: no such claim and no error
	}
	seconds, err := strconv.ParseFloat(string(value), 64)
	if err != nil { // it is valid JSON, but not a number
		return nil, badClaim(name, "not a number")
	}
	if seconds < 0 || seconds > lastSecond {
		return nil, badClaim(name, "out of range")
	}
	whole, fraction := math.Modf(seconds)
	return &jwt.NumericDate{Time: time.Unix(int64(whole), int64(fraction*float64(time.Second))).UTC()}, nil
}
