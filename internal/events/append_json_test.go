package events_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/events"
)

func TestAppendJSON_writesCamelCase(t *testing.T) {
	c := events.Builtin()
	userSetting, userStatus := events.UserSetting, events.UserStatus
	tests := map[string]struct {
		event      events.Type
		data, want string
	}{
		"Empty": {0, ` { } `, `{}`},
		"Names": {
			0, `{"MessageTTLSeconds":60,"CallBackId":null,"ID":1,"IPAddress":"::1"}`,
			`{"messageTTLSeconds":60,"callBackId":null,"id":1,"ipAddress":"::1"}`,
		},
		"AlreadyCamelCase": {0, `{"messageTTLSeconds":60,"iD":1}`, `{"messageTTLSeconds":60,"iD":1}`},
		"WhiteSpaceIsRemoved": {
			0, "\n{ \"A\" :\t1 ,\r\n\"B\": [ 1 , { \"C\" : \" D \" } , [ ] ] }\n", `{"a":1,"b":[1,{"c":" D "},[]]}`,
		},
		"NumbersAsPublished": {
			0, `{"A":1.0,"B":-0,"C":1E+400,"D":12345678901234567890123,"E":0.10}`,
			`{"a":1.0,"b":-0,"c":1E+400,"d":12345678901234567890123,"e":0.10}`,
		},
		"StringsAsPublished": {
			0, `{"A":"\u0041\/\ud83d\ude00\ud83d \"<>&'+","B":"ÄÖ😀` + "\u2028" + `"}`,
			`{"a":"\u0041\/\ud83d\ude00\ud83d \"<>&'+","b":"ÄÖ😀` + "\u2028" + `"}`,
		},
		"ListsOfObjects": {0, `{"A":[{"BC":{"De":[[{"Fg":true}]]}}]}`, `{"a":[{"bc":{"de":[[{"fg":true}]]}}]}`},
		"EscapedNames": {
			0, `{"\u0041bc":1,"a\u0042":2,"A\"\\\n\u0001B":3,"\ud83d\ude00":4,"A\ud83d":5}`,
			`{"abc":1,"a\u0042":2,"a\"\\\u000a\u0001B":3,"\ud83d\ude00":4,"a` + "\ufffd" + `":5}`,
		},
		"NamesBeyondASCII": {
			0, `{"Äb":1,"ÄÖ":2,"AÖ":3,"aÖ":4,"😀A":5,"Ⱥ":6}`, `{"äb":1,"äö":2,"aö":3,"aÖ":4,"😀A":5,"ⱥ":6}`,
		},
		"SlashesInNames": {0, `{"A\/B":1}`, `{"a/B":1}`},
		"Dictionaries": {
			userSetting, `{"Values":{"Key":"V","KEY":{"In":1}},"AllowedValues":{"A":null},"Value":{"Key":1}}`,
			`{"values":{"Key":"V","KEY":{"In":1}},"allowedValues":{"A":null},"value":{"key":1}}`,
		},
		"DictionariesInCamel": {
			userSetting, `{"values":{"Key":"V"},"allowedValues":{"A":null}}`,
			`{"values":{"Key":"V"},"allowedValues":{"A":null}}`,
		},
		"DictionaryEscaped": {userSetting, `{"Value\u0073":{"Key": "V"}}`, `{"values":{"Key":"V"}}`},
		"DictionaryNull":    {userSetting, `{"Values":null,"Other":{"Key":1}}`, `{"values":null,"other":{"key":1}}`},
		"DictionaryNested":  {userSetting, `{"Other":{"Values":{"Key":1}}}`, `{"other":{"values":{"key":1}}}`},
		"DuplicatesAreKept": {0, `{"A":1,"A":2,"a":3}`, `{"a":1,"a":2,"a":3}`},
		"SixtyFourLevels": {
			0, `{"A":` + strings.Repeat("[", 60) + strings.Repeat("]", 60) + `}`,
			`{"a":` + strings.Repeat("[", 60) + strings.Repeat("]", 60) + `}`,
		},
		// An event that was published as userstatus was delivered so: typed clients, which discriminate by eventType,
		// dropped it.
		"EventTypeInOtherCase":  {userStatus, `{"EventType":"userSTATUS","A":1}`, `{"eventType":"UserStatus","a":1}`},
		"EventTypeInCamelCase":  {userStatus, `{ "eventType" : "userstatus" }`, `{"eventType":"UserStatus"}`},
		"EventTypeWithEscapes":  {userStatus, `{"EventType":"\u0075serstatus"}`, `{"eventType":"UserStatus"}`},
		"EventTypeAsPublished":  {userStatus, `{"EventType":"UserStatus"}`, `{"eventType":"UserStatus"}`},
		"EventTypeOfAnother":    {userStatus, `{"EventType":"QueueStatus"}`, `{"eventType":"QueueStatus"}`},
		"EventTypeUnknown":      {0, `{"EventType":"userstatus"}`, `{"eventType":"userstatus"}`},
		"EventTypeNoString":     {userStatus, `{"EventType":[ 1 ]}`, `{"eventType":[1]}`},
		"EventTypeInNestedData": {userStatus, `{"A":{"EventType":"userstatus"}}`, `{"a":{"eventType":"userstatus"}}`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			ev := events.Event{Topic: events.Topic{Type: tc.event}, Data: []byte(tc.data)}
			got, err := c.AppendJSON([]byte("before"), &ev)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != "before"+tc.want {
				t.Errorf("got  %s\nwant before%s", got, tc.want)
			}
			if string(ev.Data) != tc.data {
				t.Error("the event's data was changed")
			}
		})
	}
}

// malformedCase is a document that all encoders must refuse.
type malformedCase struct {
	data string
	want events.Reason
}

func malformed() map[string]malformedCase {
	return map[string]malformedCase{
		"Empty":                    {``, events.ReasonNotJSON},
		"Array":                    {`[]`, events.ReasonNotObject},
		"Truncated":                {`{"A":1`, events.ReasonNotJSON},
		"TruncatedAtOnce":          {`{`, events.ReasonNotJSON},
		"TruncatedInArray":         {`{"A":[1`, events.ReasonNotJSON},
		"TruncatedAfterArrayComma": {`{"A":[1,`, events.ReasonNotJSON},
		"TruncatedInName":          {`{"A`, events.ReasonNotJSON},
		"TruncatedInUnicodeEscape": {`{"A":"\u00`, events.ReasonNotJSON},
		"TruncatedInLiteral":       {`{"A":nul`, events.ReasonNotJSON},
		"NoColon":                  {`{"A" 1}`, events.ReasonNotJSON},
		"NoName":                   {`{1:1}`, events.ReasonNotJSON},
		"TrailingComma":            {`{"A":1,}`, events.ReasonNotJSON},
		"TrailingCommaInArray":     {`{"A":[1,]}`, events.ReasonNotJSON},
		"WrongBracket":             {`{"A":[1}}`, events.ReasonNotJSON},
		"WrongBrace":               {`{"A":{"B":1]}`, events.ReasonNotJSON},
		"TrailingGarbage":          {`{} {}`, events.ReasonNotJSON},
		"Literal":                  {`{"A":True}`, events.ReasonNotJSON},
		"LiteralWithTail":          {`{"A":nullx}`, events.ReasonNotJSON},
		"LeadingZero":              {`{"A":01}`, events.ReasonNotJSON},
		"LeadingPlus":              {`{"A":+1}`, events.ReasonNotJSON},
		"MinusOnly":                {`{"A":-}`, events.ReasonNotJSON},
		"NoFraction":               {`{"A":1.}`, events.ReasonNotJSON},
		"NoExponent":               {`{"A":1e}`, events.ReasonNotJSON},
		"Hexadecimal":              {`{"A":0x1}`, events.ReasonNotJSON},
		"NaN":                      {`{"A":NaN}`, events.ReasonNotJSON},
		"SingleQuotes":             {`{'A':1}`, events.ReasonNotJSON},
		"Comment":                  {`{/**/"A":1}`, events.ReasonNotJSON},
		"ControlCharacter":         {"{\"A\":\"\x1e\"}", events.ReasonNotJSON},
		"UnknownEscape":            {`{"A":"\x41"}`, events.ReasonNotJSON},
		"BadUnicodeEscape":         {`{"A":"\u00g0"}`, events.ReasonNotJSON},
		"FormFeedAsSpace":          {"{\f\"A\":1}", events.ReasonNotJSON},
		"InvalidUTF8":              {"{\"A\":\"\xff\"}", events.ReasonInvalidUTF8},
		"InvalidUTF8InName":        {"{\"A\xc3\":1}", events.ReasonInvalidUTF8},
		"SurrogateInUTF8":          {"{\"A\":\"\xed\xa0\x80\"}", events.ReasonInvalidUTF8},
		"TooDeepArrays":            {`{"A":` + strings.Repeat("[", 61) + strings.Repeat("]", 61) + `}`, events.ReasonTooDeep},
		"TooDeepObjects":           {strings.Repeat(`{"A":`, 62) + "1" + strings.Repeat("}", 62), events.ReasonTooDeep},
	}
}

func TestAppendJSON_refuses(t *testing.T) {
	c := events.Builtin()
	for name, tc := range malformed() {
		t.Run(name, func(t *testing.T) {
			got, err := c.AppendJSON([]byte("before"), &events.Event{Data: []byte(tc.data)})
			if !errors.Is(err, tc.want) || !errors.Is(err, events.ErrMalformed) {
				t.Errorf("got error %v, want %v", err, tc.want)
			}
			if string(got) != "before" {
				t.Errorf("got %q, want dst unchanged", got)
			}
		})
	}
}

// TestAppendJSON_samples compares the output with a slow reference, as decoded values.
func TestAppendJSON_samples(t *testing.T) {
	c := events.Builtin()
	for _, name := range c.Names() {
		t.Run(name, func(t *testing.T) {
			data := sample(t, name)
			ev := mustDecode(t, c, data)
			got, err := c.AppendJSON(nil, &ev)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(renamed(t, c, &ev), decoded(t, got)); diff != "" {
				t.Error(diff)
			}

			again, err := c.AppendJSON(nil, &events.Event{Topic: ev.Topic, Data: got})
			if err != nil || !bytes.Equal(again, got) {
				t.Errorf("camel case input: error %v, got %s", err, again)
			}
		})
	}
}

func TestAppendJSON_growsOnce(t *testing.T) {
	c := events.Builtin()
	for _, name := range c.Names() {
		ev := mustDecode(t, c, sample(t, name))
		var roomy [4096]byte
		if allocs := testing.AllocsPerRun(10, func() { _, _ = c.AppendJSON(roomy[:0], &ev) }); allocs != 0 {
			t.Errorf("%s: allocated %v times with room, want 0", name, allocs)
		}
		if allocs := testing.AllocsPerRun(10, func() { _, _ = c.AppendJSON(nil, &ev) }); allocs != 1 {
			t.Errorf("%s: allocated %v times without room, want 1", name, allocs)
		}
	}
}
