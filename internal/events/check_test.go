package events_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/events"
)

func TestCheck_acceptsSamples(t *testing.T) {
	c := events.Builtin()
	for _, name := range c.Names() {
		ev := mustDecode(t, c, sample(t, name))
		if got := c.Check(&ev); got != nil {
			t.Errorf("%s: got %v", name, got)
		}
		camel, err := c.AppendJSON(nil, &ev)
		if err != nil {
			t.Fatal(err)
		}
		ev.Data = camel
		if got := c.Check(&ev); got != nil {
			t.Errorf("%s in camel case: got %v", name, got)
		}
	}
}

func TestCheck_reportsDeviations(t *testing.T) {
	c, err := events.LoadCatalog([]byte(parcels))
	if err != nil {
		t.Fatal(err)
	}
	number, _ := c.Lookup("ParcelChanged")
	const whole = `{"RootEntityType":"Organization","RootEntityId":"` + orgText +
		`","EventType":"ParcelChanged","EntityType":"CallList",` +
		`"EntityId":"` + entityText + `","Id":"` + idText + `","Timestamp":"2020-01-01T12:00:00Z","MessageTTLSeconds":30,` +
		`"ParcelId":"` + otherText +
		`","State":2,"Carrier":"pigeon","Weight":1.5e0,"Labels":{"A":"b","C":null},"Items":[{"X":1},{}],` +
		`"Due":null,"Other":[1]}`
	wrong := func(name string, problem events.Problem) []events.Deviation {
		return []events.Deviation{{Property: name, Problem: problem}}
	}

	tests := map[string]struct {
		from, to string
		want     []events.Deviation
	}{
		"Whole":             {``, ``, nil},
		"NullableAbsent":    {`"Due":null,`, ``, nil},
		"NullableSet":       {`"Due":null`, `"Due":"2020-01-01T12:00:00"`, nil},
		"InTableOnlySet":    {`"Other"`, `"Secret"`, wrong("Secret", events.ProblemType)},
		"NullableWrong":     {`"Due":null`, `"Due":"soon"`, wrong("Due", events.ProblemValue)},
		"Missing":           {`"State":2,`, ``, wrong("State", events.ProblemMissing)},
		"MissingOfEnvelope": {`"Timestamp":"2020-01-01T12:00:00Z",`, ``, wrong("Timestamp", events.ProblemMissing)},
		"NullNotAllowed":    {`"State":2`, `"State":null`, wrong("State", events.ProblemType)},
		"NullInEnvelope": {
			`"RootEntityType":"Organization"`, `"RootEntityType":null`, wrong("RootEntityType", events.ProblemType),
		},
		"NullString":        {`"Carrier":"pigeon"`, `"Carrier":null`, nil},
		"NullDictionary":    {`{"A":"b","C":null}`, `null`, nil},
		"NullList":          {`[{"X":1},{}]`, `null`, nil},
		"EmptyList":         {`[{"X":1},{}]`, `[ ]`, nil},
		"StringIsNumber":    {`"pigeon"`, `7`, wrong("Carrier", events.ProblemType)},
		"IntegerIsString":   {`"State":2`, `"State":"2"`, wrong("State", events.ProblemType)},
		"IntegerIsFraction": {`"State":2`, `"State":2.5`, wrong("State", events.ProblemType)},
		"IntegerNotInEnum":  {`"State":2`, `"State":3`, wrong("State", events.ProblemValue)},
		"IntegerTooLarge": {
			`"MessageTTLSeconds":30`, `"MessageTTLSeconds":2147483648`, wrong("MessageTTLSeconds", events.ProblemValue),
		},
		"IntegerEndless": {
			`"MessageTTLSeconds":30`, `"MessageTTLSeconds":99999999999999999999`,
			wrong("MessageTTLSeconds", events.ProblemValue),
		},
		"NumberIsString":      {`1.5e0`, `"heavy"`, wrong("Weight", events.ProblemType)},
		"GUIDIsNumber":        {`"ParcelId":"` + otherText + `"`, `"ParcelId":1`, wrong("ParcelId", events.ProblemType)},
		"GUIDInBraces":        {`"` + otherText + `"`, `"{` + otherText + `}"`, wrong("ParcelId", events.ProblemValue)},
		"DateTimeIsNumber":    {`"Due":null`, `"Due":0`, wrong("Due", events.ProblemType)},
		"DictionaryIsArray":   {`{"A":"b","C":null}`, `[]`, wrong("Labels", events.ProblemType)},
		"DictionaryOfNumbers": {`"C":null`, `"C":1`, wrong("Labels", events.ProblemType)},
		"ListIsObject":        {`[{"X":1},{}]`, `{}`, wrong("Items", events.ProblemType)},
		"ListOfNumbers":       {`[{"X":1},{}]`, `[{},1]`, wrong("Items", events.ProblemType)},
		"EventTypeInOtherCase": {
			`"EventType":"ParcelChanged"`, `"EventType":"parcelchanged"`, wrong("EventType", events.ProblemValue),
		},
		"EntityTypeOfOtherKind": {
			`"EntityType":"CallList"`, `"EntityType":"Queue"`, wrong("EntityType", events.ProblemValue),
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			data := strings.Replace(whole, tc.from, tc.to, 1)
			if data == whole && tc.from != "" {
				t.Fatalf("%q is not in the message", tc.from)
			}
			ev := events.Event{Topic: events.Topic{Type: number}, Data: []byte(data)}
			if diff := cmp.Diff(tc.want, c.Check(&ev)); diff != "" {
				t.Error(diff)
			}
		})
	}

	t.Run("ShortAndEnum", func(t *testing.T) {
		for name, tc := range map[string]struct {
			event, from, to string
			want            []events.Deviation
		}{
			"ShortTooLarge": {"CallbackChanged", `"TypeId": 0`, `"TypeId": 32768`, wrong("TypeId", events.ProblemValue)},
			"EnumAsName":    {"UserSupervisionStatus", `"State": 0`, `"State": "Whisper"`, nil},
			"EnumAsBool":    {"UserSupervisionStatus", `"State": 0`, `"State": true`, wrong("State", events.ProblemType)},
			"BoolAsNumber":  {"UserStatus", `"Talking": false`, `"Talking": 0`, wrong("Talking", events.ProblemType)},
			"OpenEnum":      {"UserAvailability", `"Example Availability"`, `"Napping"`, nil},
			"ClosedEnum":    {"QueueStatus", `"OpenStatus": 0`, `"OpenStatus": 7`, wrong("OpenStatus", events.ProblemValue)},
			"LongOutOfRange": {
				"QueueStatus", `"MaxWaitTime": 0`, `"MaxWaitTime": 9223372036854775808`, wrong("MaxWaitTime", events.ProblemValue),
			},
		} {
			data := strings.Replace(string(sample(t, tc.event)), tc.from, tc.to, 1)
			ev := mustDecode(t, c, []byte(data))
			if diff := cmp.Diff(tc.want, c.Check(&ev)); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	})

	t.Run("EveryMissingProperty", func(t *testing.T) {
		got := c.Check(&events.Event{Topic: events.Topic{Type: number}, Data: []byte(`{}`)})
		required := 0
		for _, p := range slices.Concat(c.Envelope(), c.Definition(number).Properties) {
			if p.Required() {
				required++
			}
		}
		if len(got) != required || required != 13 {
			t.Errorf("got %d deviations with %d required properties", len(got), required)
		}
	})

	t.Run("UnknownType", func(t *testing.T) {
		if got := c.Check(&events.Event{Data: []byte(`{}`)}); got != nil {
			t.Errorf("got %v", got)
		}
	})
}

// literals are values of all forms that JSON has, and the ends of the ranges.
var literals = []string{
	"null", "true", "false", "0", "-0", "7", "-1", "1", "2", "3", "1.5", "-1.5", "-2e3",
	"32767", "32768", "-32768", "-32769", "2147483647", "2147483648", "-2147483648", "-2147483649",
	"9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
	`""`, `"x"`, `"One"`, `"Two"`, `"1"`, `"` + idText + `"`, `"2020-02-29T12:00:00Z"`, `"2021-02-29T12:00:00Z"`,
	"{}", `{"a":"b"}`, `{"a":null}`, `{"a":1,"b":"c"}`, `{"a":"b","c":{}}`, "[]", "[{}]", "[{},1]", "[1,{}]", "[[]]",
}

// TestCheck_comparesEachTypeWithEachValue reads the values with encoding/json, into the Go type of the property.
func TestCheck_comparesEachTypeWithEachValue(t *testing.T) {
	read := func(into any) func(string) bool {
		return func(literal string) bool { return json.Unmarshal([]byte(literal), into) == nil }
	}
	form := func(pattern string) func(string) bool { return regexp.MustCompile("^(" + pattern + ")$").MatchString }
	const integer, text = `-?\d+`, `".*"`
	always := form(".*")
	isGUID := func(literal string) bool { return guidForm.MatchString(strings.Trim(literal, `"`)) }
	isTime := func(literal string) bool { return !mustTime(strings.Trim(literal, `"`)).IsZero() }
	for name, of := range map[string]struct {
		nullable     bool
		form, allows func(literal string) bool
	}{
		"string":                     {true, form(text), always},
		"bool":                       {false, form("true|false"), always},
		"short":                      {false, form(integer), read(new(int16))},
		"int":                        {false, form(integer), read(new(int32))},
		"long":                       {false, form(integer), read(new(int64))},
		"long?":                      {true, form(integer), read(new(int64))},
		"double":                     {false, read(new(float64)), always},
		"decimal":                    {false, read(new(float64)), always},
		"Guid":                       {false, form(text), isGUID},
		"DateTime":                   {false, form(text), isTime},
		"object":                     {true, read(new(map[string]any)), always},
		"List<X>":                    {true, read(new([]map[string]any)), always},
		"Dictionary<string, string>": {true, read(new(map[string]string)), always},
		"Digits":                     {false, form(integer), form("1|2")},
		"Words":                      {true, form(text), form(`"One"|"Two"`)},
		"Either":                     {false, form(text + "|" + integer), always},
		"Open":                       {false, form(integer), read(new(int16))},
	} {
		c, err := events.LoadCatalog([]byte(`
enums:
  - {name: Digits, type: int, closed: true, values: [{name: One, value: 1}, {name: Two, value: 2}]}
  - {name: Words, type: string, closed: true, values: [{name: One}, {name: Two}]}
  - {name: Either, type: enum, closed: true, values: [{name: One, value: 1}]}
  - {name: Open, type: short, values: [{name: One, value: 1}]}
events: [{name: Thing, kind: User, ttlSeconds: 1, properties: [{name: Value, type: "` + name + `"}]}]`))
		if err != nil {
			t.Fatal(err)
		}
		number, _ := c.Lookup("Thing")
		for _, literal := range literals {
			want := []events.Deviation{{Property: "Value", Problem: events.ProblemType}}
			switch {
			case literal == "null":
				if of.nullable {
					want = nil
				}
			case of.form(literal) && of.allows(literal):
				want = nil
			case of.form(literal):
				want[0].Problem = events.ProblemValue
			}
			got := c.Check(&events.Event{Topic: events.Topic{Type: number}, Data: []byte(`{"Value":` + literal + `}`)})
			got = slices.DeleteFunc(got, func(d events.Deviation) bool { return d.Property != "Value" })
			if !slices.Equal(got, want) {
				t.Errorf("%s %s: got %v, want %v", name, literal, got, want)
			}
		}
	}
}
