package authz_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
)

func TestRevocations_Check(t *testing.T) {
	now := time.Now()
	hour := now.Add(time.Hour)
	token := authz.Claims{User: me, TokenID: "one", IssuedAt: now.Add(-time.Minute)}
	younger := authz.Claims{User: me, TokenID: "two", IssuedAt: now.Add(time.Minute)}
	undated := authz.Claims{User: me}
	others := authz.Claims{User: colleague, TokenID: "three", IssuedAt: now.Add(-time.Hour)}
	for name, test := range map[string]struct {
		add                             []authz.Revocation
		token, younger, undated, others bool
	}{
		"Nothing":           {},
		"ByToken":           {add: []authz.Revocation{{TokenID: "one", Until: hour}}, token: true},
		"ByUser":            {add: []authz.Revocation{{User: me, Until: hour}}, token: true, younger: true, undated: true},
		"ByUserAndTime":     {add: []authz.Revocation{{User: me, Before: now, Until: hour}}, token: true, undated: true},
		"ByUserAtTheSecond": {add: []authz.Revocation{{User: me, Before: token.IssuedAt, Until: hour}}, undated: true},
		"Over":              {add: []authz.Revocation{{User: me, Until: now}, {TokenID: "one", Until: now}}},
		"UnionOfTimes": {
			add:   []authz.Revocation{{User: me, Before: now, Until: hour}, {User: me, Before: now.Add(-time.Hour), Until: hour}},
			token: true, undated: true,
		},
		"TimeDoesNotWeakenUser": {
			add:   []authz.Revocation{{User: me, Until: hour}, {User: me, Before: now, Until: hour}},
			token: true, younger: true, undated: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			list := authz.NewRevocations(0, nil)
			for _, r := range test.add {
				if _, err := list.Add(r); err != nil {
					t.Fatal(err)
				}
			}
			for _, c := range []struct {
				claims *authz.Claims
				want   bool
			}{{&token, test.token}, {&younger, test.younger}, {&undated, test.undated}, {&others, test.others}} {
				if list.Check(c.claims) != c.want {
					t.Errorf("token %q: want %v", c.claims.TokenID, c.want)
				}
				covered := false
				for _, r := range test.add {
					covered = covered || r.Covers(c.claims) && r.Until.After(now)
				}
				if covered != c.want {
					t.Errorf("token %q: covered %v, want %v", c.claims.TokenID, covered, c.want)
				}
			}
		})
	}
}

func TestRevocations_EndAndMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewPedanticRegistry()
		list := authz.NewRevocations(3, registry)
		add := func(r authz.Revocation, want error) {
			t.Helper()
			if _, err := list.Add(r); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		}
		minute, hour := time.Now().Add(time.Minute), time.Now().Add(time.Hour)
		add(authz.Revocation{TokenID: "one", Until: minute}, nil)
		add(authz.Revocation{TokenID: "two", Until: hour}, nil)
		add(authz.Revocation{User: me, Until: hour}, nil)
		add(authz.Revocation{TokenID: "three", Until: hour}, authz.ErrRevocationsFull)
		add(authz.Revocation{TokenID: "one", Until: minute}, nil) // known already
		add(authz.Revocation{User: me, Before: minute, Until: hour}, nil)

		time.Sleep(time.Minute)
		if list.Check(&authz.Claims{TokenID: "one"}) || !list.Check(&authz.Claims{TokenID: "two"}) {
			t.Error("a revocation ends too late or too early")
		}
		add(authz.Revocation{TokenID: "three", Until: hour}, nil)
		if n := metric(t, registry, "rte_authz_revocations"); n != 3 {
			t.Errorf("%v revocations", n)
		}
		time.Sleep(time.Hour)
		list.Sweep()
		if n := metric(t, registry, "rte_authz_revocations"); n != 0 {
			t.Errorf("%v revocations after all have ended", n)
		}
		if n := metric(t, registry, "rte_authz_revocations_refused_total"); n != 1 {
			t.Errorf("%v refused", n)
		}
		if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
			t.Error(problems, err)
		}
	})
}

func TestRevocation_JSON(t *testing.T) {
	until := time.UnixMilli(1_700_000_000_500)
	for text, want := range map[string]authz.Revocation{
		`{"jti":"one","until":1700000000.5}`:                                               {TokenID: "one", Until: until},
		fmt.Sprintf(`{"user":%q,"until":1700000000.5}`, me):                                {User: me, Until: until},
		fmt.Sprintf(`{"user":%q,"before":1600000000,"until":1700000000.5}`, me):            {User: me, Before: time.Unix(1_600_000_000, 0), Until: until},
		fmt.Sprintf(`{"user":%q}`, events.ID{}):                                            {},
		fmt.Sprintf(`{"user":%q,"before":1700000000.5,"until":1700000000.5}`, events.ID{}): {Before: until, Until: until},
	} {
		var r authz.Revocation
		if err := json.Unmarshal([]byte(text), &r); err != nil || r != want {
			t.Errorf("%s: %+v, %v", text, r, err)
		}
		if data, err := json.Marshal(want); err != nil || string(data) != text {
			t.Errorf("%s, %v; want %s", data, err, text)
		}
	}
	for _, text := range []string{
		`{}`, `[]`, `{"jti":1}`, `{"user":"anna"}`, `{"jti":"one","user":"` + me.String() + `"}`, `{"jti":"one","before":1}`,
		`{"user":"` + me.String() + `","before":-1}`, `{"user":"` + me.String() + `","before":1e300}`, `{"jti":"one","until":1e300}`,
	} {
		var r authz.Revocation
		if err := json.Unmarshal([]byte(text), &r); err == nil {
			t.Errorf("%s is accepted", text)
		}
	}
}
