package events_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/rte-server/rte-server/internal/events"
)

// decoded returns the values of a JSON document, with numbers as written.
func decoded(t testing.TB, data []byte) any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("decode %q: %v", data, err)
	}
	return value
}

// renamed is a slow reference for AppendJSON: it returns the values that the output must decode to.
func renamed(t testing.TB, c *events.Catalog, ev *events.Event) any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(ev.Data))
	decoder.UseNumber()
	keep := namesOfType(c, ev.Type, events.TypeDictionary)
	value, err := readRenamed(decoder, keep, true)
	if err != nil {
		t.Fatalf("decode %q: %v", ev.Data, err)
	}
	if object, ok := value.(map[string]any); ok {
		withCatalogName(c, ev, object, "eventType")
	}
	return value
}

// inPascal is a slow reference for AppendMessagePack with PascalKeys: the top-level names of the catalog are in Pascal
// case, all others as published. Of several properties with one name the last one wins.
func inPascal(t testing.TB, c *events.Catalog, ev *events.Event) any {
	t.Helper()
	pascal := map[string]string{}
	for _, p := range slices.Concat(c.Envelope(), c.Definition(ev.Type).Properties) {
		pascal[events.CamelCase(p.Name)] = p.Name
	}
	decoder := json.NewDecoder(bytes.NewReader(ev.Data))
	decoder.UseNumber()
	if _, err := decoder.Token(); err != nil {
		t.Fatal(err)
	}
	object := map[string]any{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			t.Fatal(err)
		}
		name := token.(string)
		if known, ok := pascal[name]; ok {
			name = known
		}
		var value any
		if err := decoder.Decode(&value); err != nil {
			t.Fatal(err)
		}
		object[name] = value
	}
	withCatalogName(c, ev, object, "EventType")
	return object
}

// withCatalogName gives the type of an event the spelling of the catalog.
func withCatalogName(c *events.Catalog, ev *events.Event, object map[string]any, property string) {
	def := c.Definition(ev.Type)
	if def == nil {
		return
	}
	if text, ok := object[property].(string); ok && len(text) <= 128 && strings.ToLower(text) == def.LowerName() {
		object[property] = def.Name
	}
}

// dateTimes returns the names of the properties of type DateTime, in Pascal and in camel case.
func dateTimes(c *events.Catalog, event events.Type) map[string]bool {
	return namesOfType(c, event, events.TypeDateTime)
}

func namesOfType(c *events.Catalog, event events.Type, want events.ValueType) map[string]bool {
	names := map[string]bool{}
	if def := c.Definition(event); def != nil {
		for _, p := range slices.Concat(c.Envelope(), def.Properties) {
			if p.Type == want {
				names[p.Name], names[events.CamelCase(p.Name)] = true, true
			}
		}
	}
	return names
}

// readRenamed reads one value in document order, so the last of several properties with one name wins. It does not
// rename properties inside the properties of keep.
func readRenamed(decoder *json.Decoder, keep map[string]bool, rename bool) (any, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		object := map[string]any{}
		for decoder.More() {
			token, err := decoder.Token()
			if err != nil {
				return nil, err
			}
			name := token.(string)
			value, err := readRenamed(decoder, nil, rename && !keep[name])
			if err != nil {
				return nil, err
			}
			if rename {
				name = events.CamelCase(name)
			}
			object[name] = value
		}
		_, err := decoder.Token()
		return object, err
	case json.Delim('['):
		array := []any{}
		for decoder.More() {
			value, err := readRenamed(decoder, nil, rename)
			if err != nil {
				return nil, err
			}
			array = append(array, value)
		}
		_, err := decoder.Token()
		return array, err
	default:
		return token, nil
	}
}

// unpacked returns the values of a MessagePack document. Nothing may follow it.
func unpacked(t testing.TB, data []byte) any {
	t.Helper()
	reader := bytes.NewReader(data)
	value, err := msgpack.NewDecoder(reader).DecodeInterface()
	if err != nil {
		t.Fatalf("unpack %x: %v", data, err)
	}
	if reader.Len() != 0 {
		t.Fatalf("%d bytes behind the value in %x", reader.Len(), data)
	}
	return value
}

// samePacked returns the differences between a MessagePack value and a JSON value, empty if they are equal. dates are
// the top-level properties whose strings may be timestamps in MessagePack.
func samePacked(packed, want any, dates map[string]bool) string {
	switch want := want.(type) {
	case map[string]any:
		got, ok := packed.(map[string]any)
		if !ok || len(got) != len(want) {
			return fmt.Sprintf("got %v, want %v", packed, want)
		}
		for name, value := range want {
			if at, isTime := got[name].(time.Time); isTime && dates[name] {
				if !at.Equal(mustTime(value)) {
					return fmt.Sprintf("%s: got %v, want %v", name, at, value)
				}
				continue
			}
			if diff := samePacked(got[name], value, nil); diff != "" {
				return name + ": " + diff
			}
		}
	case []any:
		got, ok := packed.([]any)
		if !ok || len(got) != len(want) {
			return fmt.Sprintf("got %v, want %v", packed, want)
		}
		for i, value := range want {
			if diff := samePacked(got[i], value, nil); diff != "" {
				return fmt.Sprintf("[%d]: %s", i, diff)
			}
		}
	case json.Number:
		if !sameNumber(packed, string(want)) {
			return fmt.Sprintf("got %T %v, want %s", packed, packed, want)
		}
	default:
		if packed != want {
			return fmt.Sprintf("got %T %v, want %T %v", packed, packed, want, want)
		}
	}
	return ""
}

func sameNumber(packed any, literal string) bool {
	text := fmt.Sprint(packed)
	if n, err := strconv.ParseInt(literal, 10, 64); err == nil && literal != "-0" {
		return text == strconv.FormatInt(n, 10)
	}
	if n, err := strconv.ParseUint(literal, 10, 64); err == nil {
		return text == strconv.FormatUint(n, 10)
	}
	want, _ := strconv.ParseFloat(literal, 64) // a number out of range is an infinity
	got, ok := packed.(float64)
	return ok && math.Float64bits(got) == math.Float64bits(want)
}

var dateTime = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-](0\d|1[0-3]):[0-5]\d|[+-]14:00)?$`)

// mustTime reads a DateTime of .NET with package time. It returns the zero time for other values.
func mustTime(value any) time.Time {
	text, _ := value.(string)
	if !dateTime.MatchString(text) {
		return time.Time{}
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
		if at, err := time.Parse(layout, text); err == nil && at.UTC().Year() >= 1 && at.UTC().Year() <= 9999 {
			return at
		}
	}
	return time.Time{}
}
