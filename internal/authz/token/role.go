package token

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/jsonscan"
)

// NoRole as RoleOptions.Default refuses tokens that have no known role.
const NoRole Role = "none"

const (
	defaultRoleClaim = "role"
	// roleReportInterval is the time between two log entries about tokens that get the default role.
	roleReportInterval = time.Minute
)

// RoleOptions configure how the role claim becomes a role. The claim may be a string, a list of strings, or an object
// whose member names are the values.
type RoleOptions struct {
	// Map maps values to roles; the first entry whose value the token has decides. Without it the values are the names
	// of the roles, and of several roles service decides, then supervisor, then agent.
	Map []RoleMapping
	// Default is the role of a token without a known role, or NoRole to refuse it. Empty: RoleAgent if the claim is
	// absent or empty, and a refusal if it has only unknown values.
	Default Role
}

// RoleMapping maps one value of the role claim to a role.
type RoleMapping struct {
	Value string
	Role  Role
}

// ParseRoleMapping reads a mapping from configuration: VALUE=ROLE. The value may contain equals signs.
func ParseRoleMapping(text string) (RoleMapping, error) {
	i := strings.LastIndexByte(text, '=')
	if i < 0 {
		return RoleMapping{}, errors.New("want VALUE=ROLE")
	}
	value, name := strings.TrimSpace(text[:i]), strings.TrimSpace(text[i+1:])
	if value == "" {
		return RoleMapping{}, errors.New("an empty value can never match, want VALUE=ROLE")
	}
	if name == "" {
		return RoleMapping{}, errors.New("want VALUE=ROLE")
	}
	role, err := ParseRole(name)
	return RoleMapping{value, role}, err
}

// Check returns an error for options that are wrong or can never match.
func (o *RoleOptions) Check() error {
	roles := Roles()
	if o.Default != "" && o.Default != NoRole && !slices.Contains(roles[:], o.Default) {
		return fmt.Errorf("default: want %s or one of %v", NoRole, roles)
	}
	for i, m := range o.Map {
		if slices.ContainsFunc(o.Map[:i], func(before RoleMapping) bool { return before.Value == m.Value }) {
			return fmt.Errorf("the second mapping of %q can never match", m.Value)
		}
		if m.Value == "" || !slices.Contains(roles[:], m.Role) {
			return fmt.Errorf("entry %d needs a value and one of the roles %v", i+1, roles)
		}
	}
	return nil
}

// roleReader reads the role of tokens.
type roleReader struct {
	claim    path
	mappings []RoleMapping
	fallback Role // RoleOptions.Default
	explicit bool // the claim or the mapping is configured, so a token without a role is unexpected
	logger   *zap.Logger
	reported atomic.Int64 // time of the last log entry, in nanoseconds since 1970
}

func newRoleReader(claim path, o *RoleOptions, logger *zap.Logger) *roleReader {
	r := &roleReader{
		claim: claim, mappings: o.Map, fallback: o.Default, logger: logger,
		explicit: len(o.Map) > 0 || claim.text != defaultRoleClaim,
	}
	if len(o.Map) == 0 {
		for _, role := range []Role{RoleService, RoleSupervisor, RoleAgent} {
			r.mappings = append(r.mappings, RoleMapping{string(role), role})
		}
	}
	return r
}

// role returns the role of a token.
func (r *roleReader) role(p *payload) (Role, error) {
	value, ok, err := r.claim.find(p.object)
	if err != nil {
		return "", err
	}
	if !ok {
		return r.withoutRole(false)
	}
	// The usual claim is one string: it takes no list.
	if text, ok := jsonscan.Unquote(value); ok {
		for i := range r.mappings {
			if r.mappings[i].Value == string(text) {
				return r.mappings[i].Role, nil
			}
		}
		return r.withoutRole(len(text) > 0)
	}
	values, err := roleValues(value)
	if err != nil {
		return "", badClaim(r.claim.text, err.Error())
	}
	for i := range r.mappings {
		if slices.Contains(values, r.mappings[i].Value) {
			return r.mappings[i].Role, nil
		}
	}
	return r.withoutRole(len(values) > 0)
}

// withoutRole returns the role of a token without a known role. unknown reports whether it has unknown values.
func (r *roleReader) withoutRole(unknown bool) (Role, error) {
	role := r.fallback
	if role == "" && !unknown {
		role = RoleAgent
	}
	switch {
	case role != "" && role != NoRole:
		if unknown || r.explicit {
			r.report(role)
		}
		return role, nil
	case unknown:
		return "", badClaim(r.claim.text, "no known role")
	default:
		return "", badClaim(r.claim.text, "absent or empty")
	}
}

// report logs, once per interval, that tokens get the default role.
func (r *roleReader) report(role Role) {
	now, last := time.Now().UnixNano(), r.reported.Load()
	if now-last < int64(roleReportInterval) || !r.reported.CompareAndSwap(last, now) {
		return
	}
	r.logger.Warn("tokens without a known role get the default role",
		zap.String("claim", r.claim.text), zap.String("role", string(role)))
}

// roleValues returns the values of a role claim that is not a string: the elements of a list or the member names of an
// object.
func roleValues(value []byte) (values []string, err error) {
	switch value[0] {
	case '[':
		if values, err = stringList(value); err != nil {
			return nil, errors.New("not a list of strings")
		}
		return values, nil
	case '{':
		o, err := parseObject(value)
		if err != nil {
			return nil, err
		}
		for i := range o {
			values = append(values, string(o[i].name))
		}
		return values, nil
	default:
		return nil, errors.New("not a string, a list of strings or an object")
	}
}
