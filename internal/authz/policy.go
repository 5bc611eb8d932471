package authz

import (
	"bytes"
	_ "embed" // for the default policy
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/events"
)

// DefaultPolicy is the policy in force when no other is configured. It is also a template for a policy of your own.
//
//go:embed policy.yaml
var DefaultPolicy []byte

// relation is the relation of a caller to an entity of one of its organizations.
type relation uint8

const (
	relationOwn          relation = iota // the caller's own user
	relationMember                       // a queue or call list that the caller belongs to
	relationOrganization                 // any entity of the organization
	relationGranted                      // an entity or event that a grant names
	numRelations
)

var relationNames = [numRelations]string{"own", "member", "organization", "granted"}

// String returns the name of the relation in a policy.
func (r relation) String() string { return relationNames[r] }

// Policy is a set of rules, made for one catalog. It is immutable.
type Policy struct {
	rules [token.NumRoles]roleRules // in the order of token.Roles
}

// roleRules has, by relation and event type, the number of the first rule that allows it, counted from 1; 0: no rule
// does.
type roleRules [numRelations][]uint16

// policyFile is the YAML form of a policy.
type policyFile struct {
	Rules []struct {
		Roles    []string `yaml:"roles"`
		Relation string   `yaml:"relation"`
		Events   []string `yaml:"events"`
		Except   []string `yaml:"except"`
	} `yaml:"rules"`
}

// ParsePolicy reads a policy in YAML. Every role, relation and event in it must exist. The error has the number of the
// wrong rule, counted from 1.
func ParsePolicy(data []byte, catalog *events.Catalog) (*Policy, error) {
	var file policyFile
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		return nil, err
	}
	if err := decoder.Decode(&struct{}{}); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one document")
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

func (p *Policy) add(
	number int, catalog *events.Catalog, roleNames []string, name string, include, except []string,
) error {
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
		return errors.New("roles and events are required")
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

// selectTypes returns the event types that match the patterns. A pattern that matches none is an error.
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
			return nil, fmt.Errorf("event %q: no such event", pattern)
		}
	}
	return selected, nil
}

// of returns the rules of a role; nil if there is no such role.
func (p *Policy) of(role Role) *roleRules {
	for i, known := range token.Roles() {
		if known == role {
			return &p.rules[i]
		}
	}
	return nil
}
