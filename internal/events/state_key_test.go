package events_test

import (
	"testing"

	"github.com/rte-server/rte-server/internal/events"
)

func TestStateKey_identifiesStates(t *testing.T) {
	c := events.Builtin()
	key := func(name, data string) (events.ID, bool) {
		number, _ := c.Lookup(name)
		return c.StateKey(&events.Event{Topic: events.Topic{Type: number}, Data: []byte(data)})
	}
	const base = `{"CallListId":"` + otherText + `","CallBackId":"` + idText + `"}`
	want, ok := key("CallbackChanged", base)
	if !ok || want == (events.ID{}) {
		t.Fatalf("got key %v, %v", want, ok)
	}

	t.Run("TopicSaysItAll", func(t *testing.T) {
		for _, name := range []string{"UserStatus", "QueueStatus"} {
			if got, ok := key(name, `{"EntityId":"x"}`); !ok || got != (events.ID{}) {
				t.Errorf("%s: got key %v, %v", name, got, ok)
			}
		}
	})
	t.Run("StepsHaveNone", func(t *testing.T) {
		for _, name := range []string{"UserCallInArrived", "UserAvailability", "QueueCallInOverflow", "NoSuchEvent"} {
			if got, ok := key(name, base); ok || got != (events.ID{}) {
				t.Errorf("%s: got key %v, %v", name, got, ok)
			}
		}
	})
	t.Run("EqualForTheSameCallback", func(t *testing.T) {
		for _, data := range []string{
			`{"A":{"CallBackId":1},"CallBackId":"` + idText + `","B":[1,"}"],"CallListId":"` + otherText + `","Note":"n"}`,
			` { "callBackId" : "` + idText + `" , "callListId" : "` + otherText + `" } `,
			`{"CallBack\u0049d":"` + idText + `","CallListId":"` + otherText + `"}`,
		} {
			if got, ok := key("CallbackChanged", data); !ok || got != want {
				t.Errorf("%s: got key %v, %v, want %v", data, got, ok, want)
			}
		}
	})
	t.Run("DiffersForAnother", func(t *testing.T) {
		seen := map[events.ID]string{want: base}
		for _, data := range []string{
			`{"CallListId":"` + otherText + `","CallBackId":"` + entityText + `"}`,
			`{"CallListId":"` + idText + `","CallBackId":"` + otherText + `"}`,
			`{"CallBackId":null}`,
			`{}`,
		} {
			got, ok := key("CallbackChanged", data)
			if other, taken := seen[got]; !ok || taken {
				t.Errorf("%s has the key %v of %s", data, got, other)
			}
			seen[got] = data
		}
	})
	t.Run("DiffersWhereAValueEnds", func(t *testing.T) {
		c, err := events.LoadCatalog([]byte(`events: [{name: Shelf, kind: Queue, ttlSeconds: 9,
			conflationKey: [EntityId, Row, Place], properties: [{name: Row, type: int}, {name: Place, type: int}]}]`))
		if err != nil {
			t.Fatal(err)
		}
		number, _ := c.Lookup("Shelf")
		seen := map[events.ID]string{}
		for _, data := range []string{`{"Row":1,"Place":23}`, `{"Row":12,"Place":3}`, `{"Row":123}`, `{"Place":123}`} {
			got, ok := c.StateKey(&events.Event{Topic: events.Topic{Type: number}, Data: []byte(data)})
			if other, taken := seen[got]; !ok || taken {
				t.Errorf("%s has the key %v of %s", data, got, other)
			}
			seen[got] = data
		}
	})
	t.Run("AllocatesNothing", func(t *testing.T) {
		ev := mustDecode(t, c, sample(t, "CallbackChanged"))
		if allocs := testing.AllocsPerRun(100, func() { c.StateKey(&ev) }); allocs != 0 {
			t.Errorf("allocated %v times, want 0", allocs)
		}
	})
	t.Run("Malformed", func(t *testing.T) {
		for _, tc := range malformed() {
			if _, ok := key("CallbackChanged", tc.data); !ok {
				t.Errorf("%.40q: no key", tc.data)
			}
		}
	})
}

func TestStateName_joinsValues(t *testing.T) {
	c, err := events.LoadCatalog([]byte(`events: [{name: Shelf, kind: Queue, ttlSeconds: 9,
		conflationKey: [EntityId, Row, Place],
		properties: [{name: Row, type: int}, {name: Place, type: string}]}]`))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ event, data, want string }{
		"the callback": {
			"CallbackChanged", `{"CallListId":"` + otherText + `","CallBackId":"` + idText + `"}`, idText,
		},
		"several":                     {"Shelf", `{"place":"left","Row":7,"EntityId":"x"}`, "7:left"},
		"one that is missing":         {"Shelf", `{"Row":7}`, "7:"},
		"one state per topic":         {"UserStatus", `{"EntityId":"x"}`, ""},
		"a step":                      {"UserAlert", `{"EntityId":"x"}`, ""},
		"no event":                    {"NoSuchEvent", `{"EntityId":"x"}`, ""},
		"malformed behind the values": {"Shelf", `{"Row":7,"Place":"left",`, "7:left"},
	} {
		t.Run(name, func(t *testing.T) {
			number, _ := c.Lookup(test.event)
			if got := c.StateName(&events.Event{Topic: events.Topic{Type: number}, Data: []byte(test.data)}); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
