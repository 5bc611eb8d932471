package events_test

import (
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
