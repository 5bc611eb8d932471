package token

import (
	"errors"
	"fmt"
	"strings"

	"github.com/rte-server/rte-server/internal/events"
)

// tenantPlaceholder stands for each tenant in an issuer, as in the metadata of identity providers with many tenants:
// https://login.microsoftonline.com/{tenantid}/v2.0.
const tenantPlaceholder = "{tenantid}"

// expandIssuer returns the issuers that a configured one stands for.
func expandIssuer(issuer string, tenants []string) ([]string, error) {
	rest := strings.ReplaceAll(issuer, tenantPlaceholder, "")
	if strings.ContainsAny(rest, "{}") {
		return nil, fmt.Errorf("issuer %q can never match: the only placeholder is %s", issuer, tenantPlaceholder)
	}
	if rest == issuer {
		return []string{issuer}, nil
	}
	if len(tenants) == 0 {
		return nil, fmt.Errorf("issuer %q can never match without tenants", issuer)
	}
	all := make([]string, len(tenants))
	for i, tenant := range tenants {
		if id, ok := events.ParseID(tenant); ok {
			tenant = id.String() // in lower case, as tokens have it
		}
		all[i] = strings.ReplaceAll(issuer, tenantPlaceholder, tenant)
	}
	return all, nil
}

// issuers are the issuers whose tokens a verifier accepts.
type issuers struct {
	accepted map[string]bool // nil: any, as far as there are keys for it
	// sets are the key sets of one issuer alone, by issuer; an issuer that is not here uses the general keys.
	sets    map[string][]*keySet
	general []*keySet
}

// newIssuers expands the configured issuers. sets are the key sets of the options, in order.
func newIssuers(r *Requirements, sets []*keySet) (*issuers, error) {
	in := &issuers{sets: map[string][]*keySet{}}
	if len(r.Issuers) > 0 {
		in.accepted = map[string]bool{}
	}
	templates := false
	for _, issuer := range r.Issuers {
		all, err := expandIssuer(issuer, r.Tenants)
		if err != nil {
			return nil, fmt.Errorf("token: VerifierOptions.Require.Issuers: %w", err)
		}
		templates = templates || strings.Contains(issuer, tenantPlaceholder)
		for _, one := range all {
			in.accepted[one] = true
		}
	}
	for _, set := range sets {
		if set.Issuer == "" {
			in.general = append(in.general, set)
			continue
		}
		all, err := expandIssuer(set.Issuer, r.Tenants)
		if err != nil {
			return nil, fmt.Errorf("token: VerifierOptions.Keys.Sets: %w", err)
		}
		templates = templates || strings.Contains(set.Issuer, tenantPlaceholder)
		for _, one := range all {
			in.sets[one] = append(in.sets[one], set)
		}
	}
	if len(r.Tenants) > 0 && !templates {
		return nil, errors.New("token: VerifierOptions.Require.Tenants can never match: no issuer contains " + tenantPlaceholder)
	}
	return in, nil
}

// accepts reports whether the general keys may verify tokens of an issuer.
func (in *issuers) accepts(issuer string) bool { return in.accepted == nil || in.accepted[issuer] }
