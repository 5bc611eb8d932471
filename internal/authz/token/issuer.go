package token

import (
	"errors"
	"fmt"
	"slices"
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

// issuersOf returns the configured issuers and those of key sets.
func (r *Requirements) issuersOf(sets []KeySetOptions) []string {
	all := slices.Clone(r.Issuers)
	for i := range sets {
		if sets[i].Issuer != "" {
			all = append(all, sets[i].Issuer)
		}
	}
	return all
}

// CheckIssuers returns an error if an issuer, also one of a key set, can never match.
func (r *Requirements) CheckIssuers(sets []KeySetOptions) error {
	for _, issuer := range r.issuersOf(sets) {
		if _, err := expandIssuer(issuer, r.Tenants); err != nil {
			return err
		}
	}
	return nil
}

// CheckTenants returns an error if a tenant can never match.
func (r *Requirements) CheckTenants(sets []KeySetOptions) error {
	for _, tenant := range r.Tenants {
		if tenant == "" || strings.ContainsAny(tenant, "/{} ") {
			return fmt.Errorf("%q can never match", tenant)
		}
	}
	template := func(issuer string) bool { return strings.Contains(issuer, tenantPlaceholder) }
	if len(r.Tenants) > 0 && !slices.ContainsFunc(r.issuersOf(sets), template) {
		return errors.New("can never match: no issuer contains " + tenantPlaceholder)
	}
	return nil
}

// issuers are the issuers whose tokens a verifier accepts.
type issuers struct {
	accepted map[string]bool // nil: any, as far as there are keys for it
	// sets are the key sets of one issuer alone, by issuer; an issuer that is not here uses the general keys.
	sets    map[string][]*keySet
	general []*keySet
}

// newIssuers expands the configured issuers, which are checked. sets are the key sets of the options.
func newIssuers(r *Requirements, sets []*keySet) *issuers {
	in := &issuers{sets: map[string][]*keySet{}}
	if len(r.Issuers) > 0 {
		in.accepted = map[string]bool{}
	}
	for _, issuer := range r.Issuers {
		all, _ := expandIssuer(issuer, r.Tenants)
		for _, one := range all {
			in.accepted[one] = true
		}
	}
	for _, set := range sets {
		if set.Issuer == "" {
			in.general = append(in.general, set)
			continue
		}
		all, _ := expandIssuer(set.Issuer, r.Tenants)
		for _, one := range all {
			in.sets[one] = append(in.sets[one], set)
		}
	}
	return in
}

// accepts reports whether the general keys may verify tokens of an issuer.
func (in *issuers) accepts(issuer string) bool { return in.accepted == nil || in.accepted[issuer] }
