package events_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/events"
)

func TestAppendMasked_leavesOutWhatIsPersonal(t *testing.T) {
	catalog, err := events.LoadCatalog([]byte(`
enums:
  - {name: Size, type: long, values: [{name: Small, value: 1}]}
events:
  - name: Parcel
    kind: User
    ttlSeconds: -1
    properties:
      - {name: Receiver, type: string}
      - {name: Colour, type: string, personal: false}
      - {name: Age, type: int, personal: true}
      - {name: Weight, type: int}
      - {name: Items, type: List<Item>}
      - {name: Sizes, type: List<Size>, personal: false}
      - {name: Map, type: "Dictionary<string, string>", personal: false}
      - {name: Shape, type: object, personal: false}
      - {name: Owner, type: object}
      - {name: Kind, type: CallType}
      - {name: Format, type: Size}
`))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ kind, data, want string }{
		"numbers and names": {
			"UserCallInComing", `{ "CallerNumber" : "+41", "Username":"bob", "CallId":"x"}`,
			`{"CallerNumber":"***","Username":"***","CallId":"x"}`,
		},
		"camel case": {
			"UserCallInComing", `{"callerNumber":"+41","callId":"x"}`, `{"callerNumber":"***","callId":"x"}`,
		},
		"absent values":        {"CallbackChanged", `{"Note":null,"ContactName":""}`, `{"Note":null,"ContactName":""}`},
		"lists":                {"CallbackChanged", `{"CallbackExtras":[{"a":1}]}`, `{"CallbackExtras":"***"}`},
		"dictionaries":         {"UserSetting", `{"Values":{"bob":"+41"}}`, `{"Values":"***"}`},
		"the envelope":         {"UserSetting", `{"EntityId":"e","Id":"i"}`, `{"EntityId":"e","Id":"i"}`},
		"unknown properties":   {"UserSetting", `{"Else":1,"other":true}`, `{"Else":"***","other":"***"}`},
		"another spelling":     {"UserSetting", `{"DELETED":true}`, `{"DELETED":"***"}`},
		"an object for a text": {"UserCallInComing", `{"CallId":{"name":"bob"}}`, `{"CallId":"***"}`},
		"escaped names":        {"UserSetting", `{"\u0044eleted":true,"a\"b":1}`, `{"Deleted":true,"a\"b":"***"}`},
		"twice":                {"UserSetting", `{"Value":"a","Value":"b"}`, `{"Value":"***","Value":"***"}`},
		"unknown types":        {"", `{"EntityId":"e","CallId":"x"}`, `{"EntityId":"e","CallId":"***"}`},
		"a customer's event": {
			"Parcel", `{"Receiver":"bob","Colour":"red","Age":7,"Weight":3,"Items":[],"Sizes":[{"a":1}]}`,
			`{"Receiver":"***","Colour":"red","Age":"***","Weight":3,"Items":"***","Sizes":[{"a":1}]}`,
		},
		"values that nest": {
			"Parcel",
			`{"Sizes":[1],"sizes":[2],"Map":{"a":"b"},"map":{},"Shape":{"a":1},"shape":[3],"Weight":[4],"colour":{"a":5}}`,
			`{"Sizes":[1],"sizes":[2],"Map":{"a":"b"},"map":{},"Shape":{"a":1},"shape":[3],"Weight":"***","colour":"***"}`,
		},
		"values that nest in the envelope": {
			"Parcel", `{"Id":[1],"entityId":{"a":1},"Owner":{}}`, `{"Id":"***","entityId":"***","Owner":"***"}`,
		},
		"values that nest, of an unknown type": {"", `{"Id":[1],"EntityId":{"a":1}}`, `{"Id":"***","EntityId":"***"}`},
		"enumerations":                         {"Parcel", `{"Kind":"In","Format":1}`, `{"Kind":"In","Format":1}`},
		"nothing":                              {"UserSetting", `{}`, `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			kind, _ := catalog.Lookup(test.kind)
			got, err := catalog.AppendMasked([]byte("before"), kind, []byte(test.data))
			if err != nil || string(got) != "before"+test.want {
				t.Errorf("masked %s, %v", got, err)
			}
		})
	}
	for _, data := range []string{"", "[]", "{", `{"a":}`, "null"} {
		if got, err := catalog.AppendMasked([]byte("x"), 0, []byte(data)); err == nil || string(got) != "x" {
			t.Errorf("masked %q as %s", data, got)
		}
	}
}

func TestPersonal_listsTheProperties(t *testing.T) {
	catalog := events.Builtin()
	kind, _ := catalog.Lookup("UserCallInComing")
	if got := catalog.Personal(kind); !slices.Equal(got, []string{"CallerNumber", "TargetNumber", "Username"}) {
		t.Errorf("personal properties %v", got)
	}
	// A new property that names or reaches a person needs the mark.
	for _, name := range catalog.Names() {
		kind, _ := catalog.Lookup(name)
		definition := catalog.Definition(kind)
		personal := catalog.Personal(kind)
		for i := range definition.Properties {
			p := &definition.Properties[i]
			if slices.Contains(personal, p.Name) != p.Personal {
				t.Errorf("%s: personal properties %v", name, personal)
			}
			for _, word := range []string{"Number", "Username", "UserName", "Mail", "Note", "Contact"} {
				if strings.Contains(p.Name, word) && p.Type == events.TypeString && !p.Personal &&
					p.Name != "QueueNumber" && p.Name != "SupervisionCallInNumber" {
					t.Errorf("%s.%s is not personal", name, p.Name)
				}
			}
		}
	}
	if all := catalog.Personal(); len(all) < 15 || !slices.IsSorted(all) {
		t.Errorf("personal properties %v", all)
	}
}

// FuzzAppendMasked masks any data of publishers: the result must be JSON without a personal value.
func FuzzAppendMasked(f *testing.F) {
	f.Add([]byte(`{"CallerNumber":"+41","CallId":"x","Else":{"a":[1,2]}}`))
	f.Add([]byte(`{"callerNumber":"\u0000","\u0043allerNumber":1e9}`))
	f.Add([]byte(`{"Username":null,"TargetNumber":""}`))
	catalog := events.Builtin()
	kind, _ := catalog.Lookup("UserCallInComing")
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := catalog.AppendMasked(nil, kind, data)
		if err != nil {
			return
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal(got, &members); err != nil {
			t.Fatalf("masked %q as %q: %v", data, got, err)
		}
		for _, name := range []string{"CallerNumber", "callerNumber", "Username", "username", "TargetNumber", "Other"} {
			switch value, ok := members[name]; {
			case !ok, string(value) == `"***"`, string(value) == "null", string(value) == `""`:
			default:
				t.Errorf("masked %q as %q", data, got)
			}
		}
	})
}
