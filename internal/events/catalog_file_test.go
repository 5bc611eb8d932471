package events_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/events"
)

const parcels = `
enums:
  - name: ParcelState
    type: int
    closed: true
    values:
      - {name: Packed, value: 1}
      - {name: Sent, value: 2, description: It left.}
common:
  - &ParcelId {name: ParcelId, type: Guid, description: The parcel.}
events:
  - name: ParcelChanged
    kind: CallList
    ttlSeconds: 30
    conflationKey: [EntityId, ParcelId]
    description: A parcel was packed or sent.
    properties:
      - *ParcelId
      - {name: State, type: ParcelState}
      - {name: Carrier, type: CallType}
      - {name: Weight, type: "double?", description: In kg.}
      - {name: Labels, type: "Dictionary<string, string>"}
      - {name: Items, type: List<ParcelItem>}
      - {name: Due, type: "DateTime?"}
      - {name: Secret, type: string, in: table}
  - {name: ParcelLost, kind: User, ttlSeconds: -1}
`

func TestLoadCatalog_addsToBuiltin(t *testing.T) {
	c, err := events.LoadCatalog([]byte(parcels))
	if err != nil {
		t.Fatal(err)
	}

	t.Run("ExtendsBuiltin", func(t *testing.T) {
		want := append(events.Builtin().Names(), "ParcelChanged", "ParcelLost")
		if diff := cmp.Diff(want, c.Names()); diff != "" {
			t.Error(diff)
		}
		for _, name := range events.Builtin().Names() {
			here, _ := c.Lookup(name)
			there, _ := events.Builtin().Lookup(name)
			if here != there {
				t.Errorf("%s is number %d here and %d there", name, here, there)
			}
		}
		if _, ok := events.Builtin().Lookup("ParcelLost"); ok {
			t.Error("the builtin catalog was changed")
		}
		if len(c.Enums()) != len(events.Builtin().Enums())+1 {
			t.Errorf("got %d enumerations", len(c.Enums()))
		}
	})

	t.Run("Properties", func(t *testing.T) {
		number, ok := c.Lookup("parcelchanged")
		if !ok {
			t.Fatal("not found")
		}
		d := c.Definition(number)
		if d.Kind != events.KindCallList || d.TTLSeconds != 30 || !d.State() || len(d.Properties) != 8 {
			t.Errorf("got %+v", d)
		}
		types := map[string]events.ValueType{}
		for _, p := range d.Properties {
			types[p.Name] = p.Type
			if nullable := strings.HasSuffix(p.Published, "?"); p.Nullable != nullable || p.Required() == (nullable ||
				p.Name == "Secret") {
				t.Errorf("%s: nullable is %v, required is %v", p.Name, p.Nullable, p.Required())
			}
		}
		for name, want := range map[string]events.ValueType{
			"ParcelId": events.TypeGUID, "State": events.TypeInt, "Carrier": events.TypeString, "Weight": events.TypeDouble,
			"Labels": events.TypeDictionary, "Items": events.TypeList, "Due": events.TypeDateTime,
		} {
			if types[name] != want {
				t.Errorf("%s is of type %s, want %s", name, types[name], want)
			}
		}
	})

	t.Run("IsDecodedAndWritten", func(t *testing.T) {
		ev := mustDecode(t, c, []byte(`{"OrganizationId":"`+orgText+`","EntityType":"CallList","EntityId":"`+entityText+
			`","EventType":"ParcelChanged","Labels":{"Big":"1"},"Items":[{"Id":1}]}`))
		if ev.TTLSeconds != 30 {
			t.Errorf("got a lifetime of %d s", ev.TTLSeconds)
		}
		got, err := c.AppendJSON(nil, &ev)
		if err != nil || !strings.Contains(string(got), `"labels":{"Big":"1"},"items":[{"id":1}]`) {
			t.Errorf("got %s, %v", got, err)
		}
	})

	t.Run("JSON", func(t *testing.T) {
		c, err := events.LoadCatalog(
			[]byte(`{"events":[{"name":"X","kind":"User","ttlSeconds":-1,"properties":[{"name":"A","type":"int"}]}]}`),
		)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := c.Lookup("x"); !ok {
			t.Error("not found")
		}
	})
}

// Two catalogs that were read one after the other, as a reload does, shared the memory behind the builtin types.
func TestLoadCatalog_leavesEarlierCatalogsAlone(t *testing.T) {
	load := func(event, enum string) *events.Catalog {
		t.Helper()
		c, err := events.LoadCatalog([]byte("enums: [{name: " + enum + ", type: int}]\n" +
			"events: [{name: " + event + ", kind: User, ttlSeconds: 1}]"))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first, second := load("First", "One"), load("Second", "Two")
	for c, want := range map[*events.Catalog][2]string{first: {"First", "One"}, second: {"Second", "Two"}} {
		names, enums := c.Names(), c.Enums()
		if got := [2]string{names[len(names)-1], enums[len(enums)-1].Name}; got != want {
			t.Errorf("got the event and the enumeration %v, want %v", got, want)
		}
	}
}

func TestLoadCatalog_refuses(t *testing.T) {
	event := func(more string) string { return "events:\n- {name: X, kind: User, ttlSeconds: 1" + more + "}\n" }
	property := func(p string) string { return event(", properties: [" + p + "]") }
	tests := map[string]struct{ text, want string }{
		"NotYAML":            {"events: [", "yaml"},
		"Empty":              {"", "EOF"},
		"TooLarge":           {"#" + strings.Repeat("x", 1<<20), "bytes"},
		"TwoDocuments":       {event("") + "---\n" + event(""), "more than one document"},
		"UnknownKey":         {event(", colour: red"), "colour"},
		"Envelope":           {"envelope: [{name: A, type: int}]", "envelope"},
		"EventTwice":         {event("") + "- {name: x, kind: User, ttlSeconds: 1}", "events[1] x"},
		"EventOfBuiltin":     {"events: [{name: userSTATUS, kind: User, ttlSeconds: 1}]", "events[0] userSTATUS"},
		"EventWithoutName":   {"events: [{kind: User, ttlSeconds: 1}]", "events[0]"},
		"EventNameWithDot":   {"events: [{name: a.b, kind: User, ttlSeconds: 1}]", "events[0] a.b"},
		"EventNameTooLong":   {"events: [{name: " + strings.Repeat("a", 65) + ", kind: User, ttlSeconds: 1}]", "events[0]"},
		"EventWithoutKind":   {"events: [{name: X, ttlSeconds: 1}]", "kind"},
		"EventWithOtherKind": {"events: [{name: X, kind: Galaxy, ttlSeconds: 1}]", "Galaxy"},
		"EventWithoutTTL":    {"events: [{name: X, kind: User}]", "ttlSeconds"},
		"EventTTLTooSmall":   {"events: [{name: X, kind: User, ttlSeconds: -2}]", "ttlSeconds"},
		"KeyUnknown":         {event(", conflationKey: [Y]"), "conflationKey"},
		"KeyTooLong":         {event(", conflationKey: [EntityId, EntityId, EntityId, EntityId, EntityId]"), "at most 4"},
		"PropertyTypeless":   {property("{name: A}"), "properties[0] A"},
		"PropertyType":       {property("{name: A, type: float}"), "float"},
		"PropertyTypeEnum":   {property("{name: A, type: enum}"), "enum"},
		"PropertyTypeList":   {property("{name: A, type: List}"), "List"},
		"PropertyListOpen":   {property(`{name: A, type: "List<Item"}`), "List<Item"},
		"PropertyListOfWhat": {property("{name: A, type: List<>}"), "List<>"},
		"PropertyListOfList": {property(`{name: A, type: "List<List<A>>"}`), "name the type of its elements"},
		"PropertyTwice":      {property("{name: A, type: int}, {name: a, type: int}"), "properties[1] a"},
		"PropertyOfEnvelope": {property("{name: entityId, type: int}"), "properties[0] entityId"},
		"PropertyName":       {property("{name: A B, type: int}"), "properties[0] A B"},
		"PropertyPlace":      {property("{name: A, type: int, in: heaven}"), "heaven"},
		"PropertyValues":     {property("{name: A, type: int, values: Nothing}"), "Nothing"},
		"PropertyValuesType": {property("{name: A, type: int, values: Availability}"), "Availability"},
		"EnumTwice":          {"enums: [{name: OpenStatus, type: int}]", "enums[0] OpenStatus"},
		"EnumNamedAsType":    {"enums: [{name: int, type: int}]", "enums[0] int"},
		"EnumNamedAsString":  {"enums: [{name: String, type: int}]", "enums[0] String"},
		"EnumTypeUnknown":    {"enums: [{name: E, type: float}]", "float"},
		"EnumDouble":         {"enums: [{name: E, type: double}]", "double"},
		"EnumList":           {"enums: [{name: E, type: List<A>}]", "List<A>"},
		"EnumName":           {"enums: [{name: '', type: int}]", "enums[0]"},
		"EnumType":           {"enums: [{name: E, type: bool}]", "bool"},
		"EnumClosedAndEmpty": {"enums: [{name: E, type: int, closed: true}]", "closed"},
		"EnumNumberless":     {"enums: [{name: E, type: int, values: [{name: A}]}]", "values[0] A"},
		"EnumStringNumber":   {"enums: [{name: E, type: string, values: [{name: A, value: 1}]}]", "values[0] A"},
		"EnumValueName":      {"enums: [{name: E, type: string, values: [{name: 'A B'}]}]", "values[0]"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := events.LoadCatalog([]byte(tc.text))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got error %v, want one about %q", err, tc.want)
			}
		})
	}
}
