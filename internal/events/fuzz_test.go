package events_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/events"
)

// seed adds the samples, the cases of the tables and a few unusual documents.
func seed(f *testing.F) {
	f.Helper()
	for _, name := range events.Builtin().Names() {
		payload := sample(f, name)
		f.Add(payload)
		var compact bytes.Buffer
		if err := json.Compact(&compact, payload); err != nil {
			f.Fatal(err)
		}
		f.Add(compact.Bytes())
	}
	for _, tc := range malformed() {
		f.Add([]byte(tc.data))
	}
	for _, text := range []string{
		routed,
		strings.Replace(
			routed, `"UserStatus"`, `"userStatus","Timestamp":"2023-10-19T16:21:19.7009158+02:00","MessageTTLSeconds":-1`, 1,
		),
		strings.Replace(routed, `"UserStatus"`, `"UserSetting","Values":{"A b":{"Cd":1}},"allowedValues":{"\u0041":null}`, 1),
		strings.Replace(routed, `"OrganizationId"`, `"RootEntityType":"Organization","RootEntityId"`, 1),
		`{"\u0041bc\ud83d":[1.5e300,-0,1e999,{"ÄÖ":"\ud83d\ude00"}],"A":1,"a":2}`,
	} {
		f.Add([]byte(text))
	}
}

// acceptable reports whether the encoders must accept data: a JSON object in UTF-8, nested at most 61 levels deep.
func acceptable(data []byte) bool {
	return utf8.Valid(data) && json.Valid(data) && bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) &&
		depth(data) <= 61
}

// depth returns how deep valid JSON nests.
func depth(data []byte) int {
	deepest, now := 0, 0
	inString := false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			now++
			deepest = max(deepest, now)
		case c == '}' || c == ']':
			now--
		}
	}
	return deepest
}

// FuzzDecode compares with encoding/json.
func FuzzDecode(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, data []byte) { checkDecode(t, events.Builtin(), data) })
}

func checkDecode(t *testing.T, c *events.Catalog, data []byte) {
	t.Helper()
	ev, err := c.Decode(data)
	topic, topicErr := c.Topic(data)
	if err != nil && !errors.Is(err, events.ErrMalformed) {
		t.Fatalf("got error %v", err)
	}
	if err == nil && (topicErr != nil || topic != ev.Topic) {
		t.Errorf("got topic %v, %v and event %v", topic, topicErr, ev.Topic)
	}
	if topicErr != nil && topic != (events.Topic{}) {
		t.Errorf("got the topic %v with the error %v", topic, topicErr)
	}
	if !acceptable(data) || len(data) > events.DefaultLimit {
		return
	}
	want, why := slowDecode(t, c, data)
	if got, _ := events.ReasonOf(err); got != why {
		t.Fatalf("got %v, want %v", err, why)
	}
	// Only the second one of two fields may lie behind the topic.
	if got, _ := events.ReasonOf(topicErr); got != why && why != events.ReasonDuplicateField {
		t.Errorf("got %v for the topic, want %v", topicErr, why)
	}
	if err != nil {
		return
	}
	if !ev.Timestamp.Equal(want.Timestamp) {
		t.Errorf("got the timestamp %v, want %v", ev.Timestamp, want.Timestamp)
	}
	if ev.Data, ev.Timestamp = nil, want.Timestamp; !reflect.DeepEqual(want, ev) {
		t.Errorf("got %+v, want %+v", ev, want)
	}
}

// FuzzAppendJSON compares the output with a slow reference, as decoded values.
func FuzzAppendJSON(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, data []byte) { checkJSON(t, events.Builtin(), data) })
}

func checkJSON(t *testing.T, c *events.Catalog, data []byte) {
	t.Helper()
	ev := events.Event{Topic: events.Topic{Type: events.UserSetting}, Data: data}
	got, err := c.AppendJSON([]byte("before"), &ev)
	if (err == nil) != acceptable(data) {
		t.Fatalf("acceptable is %v, got error %v", acceptable(data), err)
	}
	got, kept := bytes.CutPrefix(got, []byte("before"))
	if !kept || err != nil && len(got) > 0 {
		t.Fatalf("the output begins with %q, error %v", got, err)
	}
	if err != nil {
		return
	}
	if !json.Valid(got) || !utf8.Valid(got) {
		t.Fatalf("got malformed JSON: %q", got)
	}
	if want, got := renamed(t, c, &ev), decoded(t, got); !reflect.DeepEqual(want, got) {
		t.Error(cmp.Diff(want, got))
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, got); err != nil || !bytes.Equal(compact.Bytes(), got) {
		t.Errorf("got white space between tokens: %q", got)
	}
	c.Check(&ev)
	again, err := c.AppendJSON(nil, &events.Event{Topic: ev.Topic, Data: got})
	if err != nil || !bytes.Equal(again, got) {
		t.Errorf("a second time: %v, got %q after %q", err, again, got)
	}
}

// FuzzStateKey looks for panics in the readers of single properties. They run before the encoders, which check the
// whole message.
func FuzzStateKey(f *testing.F) {
	seed(f)
	c := events.Builtin()
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, number := range []events.Type{events.CallbackChanged, events.UserSetting} {
			ev := events.Event{Topic: events.Topic{Type: number}, Data: data}
			key, ok := c.StateKey(&ev)
			if again, _ := c.StateKey(&ev); again != key || ok != (number == events.CallbackChanged) {
				t.Errorf("got key %v, then %v; %v", key, again, ok)
			}
			c.Check(&ev)
		}
	})
}

// FuzzAppendMessagePack reads the output with another implementation.
func FuzzAppendMessagePack(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, style := range packStyles {
			checkMessagePack(t, events.Builtin(), data, style)
		}
	})
}

var packStyles = []events.PackStyle{
	events.CamelKeys, events.CamelKeys | events.TextTimes, events.PascalKeys, events.TextTimes,
}

func checkMessagePack(t *testing.T, c *events.Catalog, data []byte, style events.PackStyle) {
	t.Helper()
	ev := events.Event{Topic: events.Topic{Type: events.UserSetting}, Data: data}
	got, err := c.AppendMessagePack(nil, &ev, style)
	if (err == nil) != acceptable(data) {
		t.Fatalf("acceptable is %v, got error %v", acceptable(data), err)
	}
	if err != nil {
		return
	}
	want, dates := inPascal(t, c, &ev), dateTimes(c, ev.Type)
	if style&events.CamelKeys != 0 {
		want = renamed(t, c, &ev)
	}
	if style&events.TextTimes != 0 {
		dates = nil
	}
	if diff := samePacked(unpacked(t, got), want, dates); diff != "" {
		t.Errorf("style %d: %s", style, diff)
	}
}

// slowDecode is a slow reference for Decode. data must be acceptable.
func slowDecode(t *testing.T, c *events.Catalog, data []byte) (events.Event, events.Reason) {
	t.Helper()
	values := map[string]any{}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if _, err := decoder.Token(); err != nil {
		t.Fatal(err)
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			t.Fatal(err)
		}
		var value any
		if err := decoder.Decode(&value); err != nil {
			t.Fatal(err)
		}
		routing := []string{
			"Id", "EntityId", "EventType", "Timestamp", "EntityType", "RootEntityId", "OrganizationId", "RootEntityType",
			"MessageTTLSeconds",
		}
		i := slices.IndexFunc(routing, func(r string) bool { return r == name || events.CamelCase(r) == name })
		if i < 0 {
			continue
		}
		if _, twice := values[routing[i]]; twice {
			return events.Event{}, events.ReasonDuplicateField
		}
		values[routing[i]] = value
	}

	var ev events.Event
	name, ok := values["EventType"].(string)
	if !ok || len(name) > 128 {
		return events.Event{}, events.ReasonNoEvent
	}
	var known bool
	ev.Type, known = c.Lookup(name)
	kind, ok := values["EntityType"].(string)
	if !ok || known && c.Definition(ev.Type).Kind.String() != kind {
		return events.Event{}, events.ReasonWrongEntityType
	}
	id := func(name string) (events.ID, bool) {
		text, _ := values[name].(string)
		return events.ParseID(text)
	}
	if ev.Entity, ok = id("EntityId"); !ok {
		return events.Event{}, events.ReasonNoEntity
	}
	organization := "OrganizationId"
	if values[organization] == nil {
		if organization = "RootEntityId"; values["RootEntityType"] != "Organization" {
			return events.Event{}, events.ReasonNoOrganization
		}
	}
	if ev.Organization, ok = id(organization); !ok {
		return events.Event{}, events.ReasonNoOrganization
	}
	if !known {
		return events.Event{}, events.ReasonUnknownEvent
	}
	ev.ID, _ = id("Id")
	ev.TTLSeconds = c.Definition(ev.Type).TTLSeconds
	if number, ok := values["MessageTTLSeconds"].(json.Number); ok && len(strings.TrimPrefix(number.String(), "-")) <= 9 {
		if seconds, err := number.Int64(); err == nil {
			ev.TTLSeconds = int(seconds)
		}
	}
	ev.Timestamp = mustTime(values["Timestamp"])
	return ev, 0
}
