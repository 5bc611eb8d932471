package authz_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/authz/directory"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// Each test of this file is an attack on an authorizer with a production setup.

// TestAttack_spellingsOfEntities requests an entity by every spelling that some GUID parser accepts. An entity must
// have one spelling, or a client could evade limits.
func TestAttack_spellingsOfEntities(t *testing.T) {
	gate := mustGate(t, callCentre())
	id := me.String()
	for name, spelling := range map[string]string{
		"Braces": "{" + id + "}", "Parentheses": "(" + id + ")", "N": strings.ReplaceAll(id, "-", ""),
		"URN": "urn:uuid:" + id, "SpaceBefore": " " + id, "SpaceAfter": id + " ", "NewLine": id + "\n", "Zero": id + "\x00",
		"WideDigit": "\uff10" + id[1:], "WideDigitSameLength": "\uff10" + id[3:], "ArabicDigit": "\u0661" + id[2:],
		"EnDash": strings.Replace(id, "-", "\u2013", 1), "SoftHyphen": id[:8] + "\u00ad" + id[8:], "Hex": "0x" + id,
		"Dashes": strings.Repeat("-", 36), "Base64": base64.StdEncoding.EncodeToString(me[:]), "Raw": string(me[:]),
		"HexOnly": hex.EncodeToString(me[:]), "Long": strings.Repeat(id, 1000), "Invalid": "\xff" + id[1:],
	} {
		decision := gate.Authorize(
			t.Context(), agentOfHome, []authz.Request{{EntityID: spelling, EventName: "UserStatus"}},
		)[0]
		if decision.Refusal != authz.RefusedEntity {
			t.Errorf("%s: got %q", name, decision.Refusal)
		}
	}
	upper := gate.Authorize(
		t.Context(), agentOfHome, []authz.Request{{EntityID: strings.ToUpper(id), EventName: "UserStatus"}},
	)[0]
	if upper.Refusal != "" || upper.Topic.Entity != me {
		t.Errorf("upper case: got %+v", upper)
	}
}

// TestAttack_guessingEntities compares the decisions about a foreign entity with those about one that does not exist,
// for every event and role, with grants for both.
func TestAttack_guessingEntities(t *testing.T) {
	for _, d := range []authz.Directory{callCentre(), mustCached(t, organization())} {
		gate := mustGate(t, d)
		for _, role := range []authz.Role{authz.RoleAgent, authz.RoleSupervisor, authz.RoleService} {
			claims := &authz.Claims{
				User: me, Organization: home, Role: role,
				Grants: []authz.Grant{{Entity: foreignQueue}, {Entity: unknownEntity}, {Event: "QueueStatus"}},
			}
			for _, event := range append(events.Builtin().Names(), "Nothing", "") {
				decisions := gate.Authorize(t.Context(), claims, []authz.Request{
					{EntityID: foreignQueue.String(), EventName: event}, {EntityID: unknownEntity.String(), EventName: event},
				})
				if decisions[0] != decisions[1] || decisions[0].Refusal == "" {
					t.Errorf("%s, %s: %+v", role, event, decisions)
				}
			}
		}
	}
}

// TestAttack_foreignOrganizations claims further organizations in every way except the right claim of a signed token.
func TestAttack_foreignOrganizations(t *testing.T) {
	verifier := rtetest.MustVerifier(t)
	gate := mustGate(t, callCentre())
	for _, extra := range []map[string]any{
		{"organizations": []string{foreign.String()}},
		{"Orgs": []string{foreign.String()}},
		{"org_id": foreign.String()},
		{"grants": []map[string]string{{"entity": foreignQueue.String(), "event": "QueueStatus"}}},
		{"orgs": []string{other.String()}},
	} {
		fields := map[string]any{
			"sub": me.String(), "org": home.String(), "role": "service", "iss": rtetest.Issuer, "aud": rtetest.Audience,
		}
		maps.Copy(fields, extra)
		payload, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		claims, err := verifier.Verify(rtetest.MustSign(t, []byte(rtetest.Secret), `{"alg":"HS256"}`, string(payload)))
		if err != nil {
			t.Fatal(err)
		}
		decision := gate.Authorize(
			t.Context(), claims, []authz.Request{{EntityID: foreignQueue.String(), EventName: "QueueStatus"}},
		)[0]
		if decision.Refusal != authz.RefusedUnauthorized {
			t.Errorf("with %v: %+v", extra, decision)
		}
	}
}

// TestAttack_topicCarriesTheOrganization checks that a directory that trusts the token allows only topics of the
// caller's own organization, on which no foreign event arrives.
func TestAttack_topicCarriesTheOrganization(t *testing.T) {
	gate := mustGate(t, directory.FromClaims{})
	for _, claims := range []*authz.Claims{
		{User: me, Organization: home, Role: authz.RoleService},
		{User: me, Organization: home, Organizations: []events.ID{foreign}, Role: authz.RoleService},
	} {
		decision := gate.Authorize(
			t.Context(), claims, []authz.Request{{EntityID: foreignQueue.String(), EventName: "QueueStatus"}},
		)[0]
		if decision.Topic.Organization != home {
			t.Errorf("got %+v", decision)
		}
	}
}
