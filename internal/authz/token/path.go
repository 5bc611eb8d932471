package token

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// path locates a claim in a token. It is the name of a claim, or the names of nested ones, separated by dots, such as
// realm_access.roles. A claim whose whole name is the text takes precedence, since names may contain dots. A backslash
// before a dot makes it part of a name.
type path struct {
	text  string
	steps []string
}

// scalarClaims are the registered claims (RFC 7519, section 4.1), which have no members; timeClaims are numbers.
var (
	scalarClaims = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti"}
	timeClaims   = []string{"exp", "nbf", "iat"}
)

// parsePath reads the path of a claim. The error explains why it can never match.
func parsePath(text string) (path, error) {
	switch {
	case text == "":
		return path{}, errors.New("is empty")
	case strings.IndexFunc(text, unicode.IsSpace) >= 0:
		return path{}, errors.New("has white space, so it can never match")
	case strings.HasPrefix(text, "$"), strings.HasPrefix(text, "/"), strings.ContainsAny(text, "[]"):
		return path{}, errors.New(
			"looks like JSONPath or a JSON pointer, want names separated by dots, such as realm_access.roles",
		)
	case strings.Contains(text, "://"): // a URL as a name, as Auth0 has them: its dots separate nothing
		return path{text: text, steps: []string{text}}, nil
	}
	steps, err := splitPath(text)
	if err != nil {
		return path{}, err
	}
	if slices.Contains(steps, "") {
		return path{}, errors.New("has an empty name between dots, so it can never match")
	}
	if len(steps) > 1 && slices.Contains(scalarClaims, steps[0]) {
		return path{}, fmt.Errorf("can never match: %q has no members", steps[0])
	}
	return path{text: text, steps: steps}, nil
}

// splitPath splits a path at its dots and removes the backslashes.
func splitPath(text string) (steps []string, err error) {
	var step strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '.':
			steps = append(steps, step.String())
			step.Reset()
		case text[i] != '\\':
			step.WriteByte(text[i])
		case i+1 < len(text) && (text[i+1] == '.' || text[i+1] == '\\'):
			i++
			step.WriteByte(text[i])
		default:
			return nil, errors.New("has a backslash that is not before a dot or a backslash")
		}
	}
	return append(steps, step.String()), nil
}

// find returns the value of the claim; ok is false if there is none.
func (p *path) find(o object) (value []byte, ok bool, err error) {
	if value, ok = o.get(p.text); ok || len(p.steps) == 1 && p.steps[0] == p.text {
		return value, ok, nil
	}
	last := len(p.steps) - 1
	for i, step := range p.steps {
		value, ok = o.get(step)
		if !ok || i == last {
			return value, ok, nil
		}
		if value[0] != '{' {
			return nil, false, nil
		}
		if o, err = parseObject(value); err != nil {
			return nil, false, badClaim(p.text, err.Error())
		}
	}
	return nil, false, nil
}

// ClaimNames are the paths of the claims that a verifier reads. An empty path is the default in the comment. The
// registered claims exp, nbf, iat, iss and aud (RFC 7519, section 4.1) have no other names.
type ClaimNames struct {
	User          string // sub
	Organization  string // org
	Role          string // role
	Organizations string // orgs
	Grants        string // grants
	TokenID       string // jti
}

// withDefaults fills in the empty names.
func (n ClaimNames) withDefaults() ClaimNames {
	for _, name := range []struct {
		of    *string
		value string
	}{
		{&n.User, "sub"},
		{&n.Organization, "org"},
		{&n.Role, defaultRoleClaim},
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

// claimPaths are parsed ClaimNames.
type claimPaths struct {
	user, organization, role, organizations, grants, tokenID path
}

// CheckClaim returns an error if the path of a claim can never match.
func CheckClaim(text string) error {
	p, err := parsePath(text)
	if err == nil && slices.Contains(timeClaims, p.steps[0]) {
		return fmt.Errorf("can never match: %q is a time", p.steps[0])
	}
	return err
}

// parse reads the paths.
func (n ClaimNames) parse() (paths claimPaths, err error) {
	n = n.withDefaults()
	for _, name := range []struct {
		field, text string
		to          *path
	}{
		{"User", n.User, &paths.user},
		{"Organization", n.Organization, &paths.organization},
		{"Role", n.Role, &paths.role},
		{"Organizations", n.Organizations, &paths.organizations},
		{"Grants", n.Grants, &paths.grants},
		{"TokenID", n.TokenID, &paths.tokenID},
	} {
		if err := CheckClaim(name.text); err != nil {
			return paths, fmt.Errorf("token: VerifierOptions.Claims.%s: %q %w", name.field, name.text, err)
		}
		*name.to, _ = parsePath(name.text) // CheckClaim has parsed it without an error
	}
	return paths, nil
}
