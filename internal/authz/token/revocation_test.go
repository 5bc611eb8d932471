package token_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

func TestRevocations_check(t *testing.T) {
	now := time.Now()
	hour := now.Add(time.Hour)
	older := token.Claims{User: me, TokenID: "one", IssuedAt: now.Add(-time.Minute)}
	younger := token.Claims{User: me, TokenID: "two", IssuedAt: now.Add(time.Minute)}
	undated := token.Claims{User: me}
	others := token.Claims{User: colleague, TokenID: "three", IssuedAt: now.Add(-time.Hour)}
	for name, test := range map[string]struct {
		add                             []token.Revocation
		older, younger, undated, others bool
	}{
		"Nothing":           {},
		"ByToken":           {add: []token.Revocation{{TokenID: "one", Until: hour}}, older: true},
		"ByUser":            {add: []token.Revocation{{User: me, Until: hour}}, older: true, younger: true, undated: true},
		"ByUserAndTime":     {add: []token.Revocation{{User: me, Before: now, Until: hour}}, older: true, undated: true},
		"ByUserAtTheSecond": {add: []token.Revocation{{User: me, Before: older.IssuedAt, Until: hour}}, undated: true},
		"Over":              {add: []token.Revocation{{User: me, Until: now}, {TokenID: "one", Until: now}}},
		"UnionOfTimes": {
			add: []token.Revocation{
				{User: me, Before: now, Until: hour}, {User: me, Before: now.Add(-time.Hour), Until: hour},
			},
			older: true, undated: true,
		},
		"TimeDoesNotWeakenUser": {
			add:   []token.Revocation{{User: me, Until: hour}, {User: me, Before: now, Until: hour}},
			older: true, younger: true, undated: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			list := token.NewRevocations(0, nil)
			for _, r := range test.add {
				if _, err := list.Add(r); err != nil {
					t.Fatal(err)
				}
			}
			for _, c := range []struct {
				claims *token.Claims
				want   bool
			}{{&older, test.older}, {&younger, test.younger}, {&undated, test.undated}, {&others, test.others}} {
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

func TestRevocations_endAndMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewPedanticRegistry()
		list := token.NewRevocations(3, registry)
		add := func(r token.Revocation, want error) {
			t.Helper()
			if _, err := list.Add(r); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		}
		minute, hour := time.Now().Add(time.Minute), time.Now().Add(time.Hour)
		add(token.Revocation{TokenID: "one", Until: minute}, nil)
		add(token.Revocation{TokenID: "two", Until: hour}, nil)
		add(token.Revocation{User: me, Until: hour}, nil)
		add(token.Revocation{TokenID: "three", Until: hour}, token.ErrRevocationsFull)
		add(token.Revocation{User: colleague, Until: hour}, token.ErrRevocationsFull)
		add(token.Revocation{TokenID: "one", Until: minute}, nil) // known already
		add(token.Revocation{User: me, Before: minute, Until: hour}, nil)

		time.Sleep(time.Minute)
		if list.Check(&token.Claims{TokenID: "one"}) || !list.Check(&token.Claims{TokenID: "two"}) {
			t.Error("a revocation ends too late or too early")
		}
		add(token.Revocation{TokenID: "three", Until: hour}, nil)
		if n := rtetest.MustReadMetric(t, registry, "rte_authz_revocations"); n != 3 {
			t.Errorf("%v revocations", n)
		}
		time.Sleep(time.Hour)
		list.Sweep()
		if n := rtetest.MustReadMetric(t, registry, "rte_authz_revocations"); n != 0 {
			t.Errorf("%v revocations after all have ended", n)
		}
		if n := rtetest.MustReadMetric(t, registry, "rte_authz_revocations_refused_total"); n != 2 {
			t.Errorf("%v refused", n)
		}
		if n := rtetest.MustReadMetric(t, registry, "rte_authz_revocations_capacity"); n != 3 {
			t.Errorf("%v fit", n)
		}
		if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
			t.Error(problems, err)
		}
	})
}

// A sweep removes what has ended, and nothing that lasts longer.
func TestRevocations_lastUntilTheirEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		minute, hour := now.Add(time.Minute), now.Add(time.Hour)
		lists := map[token.Revocation]*token.Revocations{}
		for _, r := range []token.Revocation{
			{TokenID: "one", Until: hour},
			{TokenID: "one", Undone: true, At: now, Until: hour},
			{User: me, Until: hour},
			{User: me, Before: now, Until: hour},
			{User: me, Undone: true, At: now, Until: hour},
		} {
			list := token.NewRevocations(0, nil)
			for _, each := range []token.Revocation{r, {TokenID: "other", Until: minute}, {User: colleague, Until: minute}} {
				if _, err := list.Add(each); err != nil {
					t.Fatal(err)
				}
			}
			lists[r] = list
		}
		time.Sleep(time.Minute)
		for r, list := range lists {
			list.Sweep()
			if all := list.All(); len(all) != 1 || all[0] != r || list.Len() != 1 {
				t.Errorf("%+v is left of %d, want %+v", all, list.Len(), r)
			}
		}
	})
}

func TestRevocation_json(t *testing.T) {
	until := time.UnixMilli(1_700_000_000_500)
	for text, want := range map[string]token.Revocation{
		`{"jti":"one","until":1700000000.5}`:                {TokenID: "one", Until: until},
		fmt.Sprintf(`{"user":%q,"until":1700000000.5}`, me): {User: me, Until: until},
		fmt.Sprintf(`{"user":%q,"before":1600000000,"until":1700000000.5}`, me): {
			User: me, Before: time.Unix(1_600_000_000, 0), Until: until,
		},
		fmt.Sprintf(`{"user":%q}`, events.ID{}):                                            {},
		fmt.Sprintf(`{"user":%q,"before":1700000000.5,"until":1700000000.5}`, events.ID{}): {Before: until, Until: until},
	} {
		var r token.Revocation
		if err := json.Unmarshal([]byte(text), &r); err != nil || r != want {
			t.Errorf("%s: %+v, %v", text, r, err)
		}
		if data, err := json.Marshal(want); err != nil || string(data) != text {
			t.Errorf("%s, %v; want %s", data, err, text)
		}
	}
	for _, text := range []string{
		`{}`, `[]`, `{"jti":1}`, `{"user":"anna"}`, `{"jti":"one","user":"` + me.String() + `"}`, `{"jti":"one","before":1}`,
		`{"user":"` + me.String() + `","before":-1}`, `{"user":"` + me.String() + `","before":1e300}`,
		`{"jti":"one","until":1e300}`, `{"jti":"one","at":-1}`, `{"jti":"` + strings.Repeat("x", 300) + `"}`,
		`{"jti":"one","undone":true}`, `{"user":"` + me.String() + `","undone":true,"at":7,"before":7}`,
	} {
		var r token.Revocation
		if err := json.Unmarshal([]byte(text), &r); err == nil {
			t.Errorf("%s is accepted", text)
		}
	}
}
