package contract_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/events"
)

// validation is a line for node/schemas.mjs.
type validation struct {
	Schema string          `json:"schema"`
	Event  json.RawMessage `json:"event"`
}

// validate returns the errors of ajv for each input, empty if it is valid.
func validate(t *testing.T, inputs []any) []string {
	t.Helper()
	lines := node(t, inputs, "node/schemas.mjs", schemaDir, asyncAPIFile)
	if len(lines) != len(inputs) {
		t.Fatalf("got %d results for %d inputs", len(lines), len(inputs))
	}
	reports := make([]string, len(lines))
	for i, line := range lines {
		if string(line) != "true" {
			reports[i] = string(line)
		}
	}
	return reports
}

// TestSchemas_acceptTheSamples validates every sample with ajv, as published and in the form for clients.
func TestSchemas_acceptTheSamples(t *testing.T) {
	c := events.Builtin()
	var inputs []any
	for _, name := range c.Names() {
		ev := decoded(t, c, name)
		camel, err := c.AppendJSON(nil, &ev)
		if err != nil {
			t.Fatal(err)
		}
		inputs = append(
			inputs,
			validation{name + ".schema.json", ev.Data},
			validation{name, ev.Data},
			validation{strings.ToLower(name[:1]) + name[1:], camel},
		)
	}
	for i, reports := range validate(t, inputs) {
		if reports != "" {
			t.Errorf("%s: %s", inputs[i].(validation).Schema, reports)
		}
	}
}

// TestSchemas_refuseEveryMutation changes every sample in every way that its schema forbids or allows. ajv must refuse
// and accept them accordingly, and Catalog.Check must agree with ajv.
func TestSchemas_refuseEveryMutation(t *testing.T) {
	c := events.Builtin()
	var mutants []mutant
	var inputs []any
	for _, name := range c.Names() {
		for _, m := range mutations(t, c, name) {
			mutants = append(mutants, m)
			inputs = append(inputs, validation{name + ".schema.json", m.data})
		}
	}
	broken := 0
	for i, reports := range validate(t, inputs) {
		m := mutants[i]
		if (reports == "") != m.valid {
			t.Errorf("%s: valid is %v, ajv reports %q", m.name, m.valid, reports)
		}
		number, _ := c.Lookup(m.event)
		found := c.Check(&events.Event{Topic: events.Topic{Type: number}, Data: m.data})
		if (len(found) == 0) != m.valid {
			t.Errorf("%s: valid is %v, Check reports %v", m.name, m.valid, found)
		}
		if !m.valid {
			broken++
		}
	}
	t.Logf("%d mutants were broken, %d were not", broken, len(mutants)-broken)
	if broken < 1000 {
		t.Errorf("only %d mutants were broken", broken)
	}
}

// mutant is a sample with one property changed.
type mutant struct {
	event, name string
	data        []byte
	valid       bool
}

// mutations returns copies of a sample with one changed property each.
func mutations(t *testing.T, c *events.Catalog, event string) []mutant {
	t.Helper()
	number, _ := c.Lookup(event)
	var mutants []mutant
	add := func(property, value string, valid bool) {
		data := decoded(t, c, event).Data
		var members map[string]json.RawMessage
		if err := json.Unmarshal(data, &members); err != nil {
			t.Fatal(err)
		}
		if delete(members, property); value != "" {
			members[property] = json.RawMessage(value)
		}
		changed, err := json.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		mutants = append(mutants, mutant{event, fmt.Sprintf("%s with %s = %s", event, property, value), changed, valid})
	}
	for _, p := range slices.Concat(c.Envelope(), c.Definition(number).Properties) {
		add(p.Name, "", !p.Required())
		add(p.Name, "null", p.AllowsNull())
		good, bad := values(&p)
		if p.Name == "EventType" || p.Name == "EntityType" {
			good, bad = nil, append(bad, `"Other"`)
		}
		for _, value := range good {
			add(p.Name, value, true)
		}
		for _, value := range bad {
			add(p.Name, value, false)
		}
	}
	return mutants
}

// values returns allowed and forbidden values of a property.
func values(p *events.Property) (good, bad []string) {
	const guid, date = `"29f6e823-b484-e611-80c9-00505689257e"`, `"2023-10-19T14:21:19.7009158Z"`
	if p.Enum != nil && p.Enum.Closed {
		for _, v := range p.Enum.Values {
			good = append(good, fmt.Sprint(v.Number))
		}
		return good, []string{"99", "-1", `"0"`, "true", "[]", "{}"}
	}
	switch p.Type {
	case events.TypeBool:
		return []string{"true", "false"}, []string{`"true"`, "0", "{}", "[]"}
	case events.TypeShort:
		return []string{"-32768", "32767"}, []string{"32768", "-32769", "1.5", `"1"`, "true", "{}"}
	case events.TypeInt:
		return []string{"-2147483648", "2147483647"}, []string{"2147483648", "1.5", `"1"`, "true", "[1]"}
	case events.TypeLong:
		return []string{"9007199254740991"}, []string{"1.5", `"1"`, "true", "{}"}
	case events.TypeGUID:
		return []string{
			guid, strings.ToUpper(guid),
		}, []string{`""`, `"x"`, `"{29f6e823-b484-e611-80c9-00505689257e}"`, "1", "true", "{}"}
	case events.TypeDateTime:
		return []string{
			date, `"0001-01-01T00:00:00"`, `"2020-01-01T12:00:00+02:00"`,
		}, []string{`""`, `"soon"`, `"2020-01-01"`, `"2020-13-01T12:00:00Z"`, "0", "{}"}
	case events.TypeEnum:
		return []string{"3", `"Name"`}, []string{"1.5", "true", "{}", "[]"}
	case events.TypeDictionary:
		return []string{"{}", `{"Any key":"value","Other":null}`}, []string{`{"Key":1}`, `{"Key":{}}`, "[]", `"x"`, "1"}
	case events.TypeList:
		return []string{"[]", `[{},{"Any":1}]`}, []string{"{}", "[1]", `["x"]`, "[null]", `"x"`}
	default:
		return []string{`""`, `"Any text"`}, []string{"1", "true", "{}", "[]"}
	}
}

// decoded returns the published sample of an event.
func decoded(t *testing.T, c *events.Catalog, name string) events.Event {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(samplesDir, name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	ev, err := c.Decode(data)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return ev
}
