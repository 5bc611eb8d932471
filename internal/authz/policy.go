package authz

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/events"
)

// DefaultPolicy is the policy that is in force where no other is configured: a file to start one's own from.
//
//go:embed policy.yaml
var DefaultPolicy []byte

// relation is how a caller stands to an entity of one of its organizations.
type relation uint8

const (
	relationOwn          relation = iota // the caller's own user
	relationMember                       // a queue or call list that the caller belongs to
	relationOrganization                 // any entity of the organization
	relationGranted                      // an entity or event that a grant names
	numRelations
)

var relationNames = [numRelations]string{"own", "member", "organization", "granted"}

// String is the name of the relation in a policy.
func (r relation) String() string { return relationNames[r] }

// Policy is a table of rules, made for one catalogue. It does not change.
type Policy struct {
	rules [token.NumRoles]roleRules // in the order of token.Roles
}

// roleRules says, by relation and type, the number, from 1, of the first rule that allows it; 0: none does.
type roleRules [numRelations][]uint16

// policyFile is the form of a policy.
type policyFile struct {
	Rules []struct {
		Roles    []string `yaml:"roles"`
		Relation string   `yaml:"relation"`
		Events   []string `yaml:"events"`
		Except   []string `yaml:"except"`
	} `yaml:"rules"`
}

// ParsePolicy reads a policy in YAML. Every role, relation and event that it names must exist; the error names the
// rule, counted from 1, that is wrong.
func ParsePolicy(data []byte, catalog *events.Catalog) (*Policy, error) {
	var file policyFile
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		return nil, err
	}
	if len(file.Rules) == 0 {
		return nil, errors.New("no rules")
	}
	p := &Policy{}
	for role := range p.rules {
		for r := range p.rules[role] {
			p.rules[role][r] = make([]uint16, len(catalog.Names())+1)
		}
	}
	for i, rule := range file.Rules {
		if err := p.add(i+1, catalog, rule.Roles, rule.Relation, rule.Events, rule.Except); err != nil {
			return nil, fmt.Errorf("rule %d: %w", i+1, err)
		}
	}
	return p, nil
}

func (p *Policy) add(number int, catalog *events.Catalog, roleNames []string, name string, include, except []string) error {
	r := slices.Index(relationNames[:], name)
	if r < 0 {
		return fmt.Errorf("relation %q: want one of %v", name, relationNames)
	}
	included, err := selectTypes(catalog, include)
	if err != nil {
		return err
	}
	excepted, err := selectTypes(catalog, except)
	if err != nil {
		return err
	}
	if len(roleNames) == 0 || len(included) == 0 {
		return errors.New("roles and events are needed")
	}
	roles := token.Roles()
	for _, roleName := range roleNames {
		role := slices.Index(roles[:], Role(roleName))
		if role < 0 {
			return fmt.Errorf("role %q: want one of %v", roleName, roles)
		}
		for t := range included {
			if !excepted[t] && p.rules[role][r][t] == 0 {
				p.rules[role][r][t] = uint16(number) //nolint:gosec // a policy has a handful of rules
			}
		}
	}
	return nil
}

// selectTypes finds the event types that the patterns name. A pattern that names none is an error.
func selectTypes(catalog *events.Catalog, patterns []string) (map[events.Type]bool, error) {
	selected := map[events.Type]bool{}
	for _, pattern := range patterns {
		prefix, open := strings.CutSuffix(pattern, "*")
		found := false
		for _, name := range catalog.Names() {
			if !strings.EqualFold(name, pattern) &&
				(!open || len(name) < len(prefix) || !strings.EqualFold(name[:len(prefix)], prefix)) {
				continue
			}
			t, _ := catalog.Lookup(name)
			selected[t], found = true, true
		}
		if !found {
			return nil, fmt.Errorf("event %q: there is no such event", pattern)
		}
	}
	return selected, nil
}

// of are the rules of a role; nil: there is no such role.
func (p *Policy) of(role Role) *roleRules {
	for i, known := range token.Roles() {
		if known == role {
			return &p.rules[i]
		}
	}
	return nil
}
