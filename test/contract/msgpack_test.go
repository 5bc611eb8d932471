package contract_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/events"
)

// packed is a line for node/msgpack.mjs.
type packed struct {
	Frame []byte   `json:"frame"`
	JSON  string   `json:"json"`
	Dates []string `json:"dates"`
}

// TestMessagePack_equalsTheJSON reads all samples, documents with all forms of JSON, and random documents with
// Microsoft's MessagePack hub protocol.
func TestMessagePack_equalsTheJSON(t *testing.T) {
	c := events.Builtin()
	var inputs []any
	add := func(ev *events.Event) {
		t.Helper()
		camel, err := c.AppendJSON(nil, ev)
		if err != nil {
			t.Fatalf("%s: %v", ev.Data, err)
		}
		for style, text := range map[events.PackStyle]string{
			events.PascalKeys: string(ev.Data), events.CamelKeys: string(camel),
		} {
			body, err := c.AppendMessagePack(nil, ev, style)
			if err != nil {
				t.Fatalf("%s: %v", ev.Data, err)
			}
			inputs = append(inputs, packed{frame(body), text, dates(c, ev.Type)})
		}
	}
	for _, name := range c.Names() {
		ev := decoded(t, c, name)
		add(&ev)
	}
	for _, text := range []string{
		`{}`,
		`{"A":[0,127,128,255,256,65535,65536,4294967295,4294967296,9007199254740993,` +
			`18446744073709551615,18446744073709551616]}`,
		`{"A":[-1,-32,-33,-128,-129,-32768,-32769,-2147483648,-2147483649,-9223372036854775808,-9223372036854775809]}`,
		`{"A":[0.1,1.5e300,1e-400,-0,1e999,-1e999,1.0,100E-2]}`,
		`{"A":"\"\\\/\b\f\n\r\t\u0000\u00e4\u20ac\ud83d\ude00 äöü € 😀","\u0042":null,"C":[true,false,null,[],{}]}`,
		`{"A":"` + strings.Repeat("x", 32) + `","B":"` + strings.Repeat("ä", 200) + `","C":"` +
			strings.Repeat("y", 66000) + `"}`,
		`{"A":[` + strings.Repeat("1,", 20) + `1],"B":[` + strings.Repeat("{},", 66000) + `1]}`,
		`{"Timestamp":"0001-01-01T00:00:00","WrapUpStart":"9999-12-31T23:59:59.9999999",` +
			`"WrapUpEnd":"2106-02-07T06:28:16Z","TalkingStatusChanged":"soon"}`,
		`{"Timestamp":"2023-10-19T14:21:19.7009158+02:00","WrapUpStart":"1970-01-01T00:00:00Z",` +
			`"WrapUpEnd":null,"Note":"2020-01-01T12:00:00Z"}`,
	} {
		add(&events.Event{Topic: events.Topic{Type: events.UserStatus}, Data: []byte(text)})
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		add(&events.Event{Data: []byte(randomObject(random, 4))})
	}

	lines := node(t, inputs, "node/msgpack.mjs")
	if len(lines) != len(inputs) {
		t.Fatalf("got %d answers on %d frames", len(lines), len(inputs))
	}
	for i, line := range lines {
		if string(line) != "true" {
			t.Errorf("of %.200s: %.1000s", inputs[i].(packed).JSON, line)
		}
	}
}

// frame returns a MessageReceived with one argument, spec row 1.10.
func frame(argument []byte) []byte {
	body := []byte("\x96\x01\x80\xc0\xafMessageReceived\x91")
	body = append(append(body, argument...), 0x90)
	var framed []byte
	for n := len(body); ; n >>= 7 {
		if n < 0x80 {
			framed = append(framed, byte(n))
			break
		}
		framed = append(framed, byte(n)|0x80)
	}
	return append(framed, body...)
}

// dates returns the names of the properties of type DateTime, in Pascal and in camel case.
func dates(c *events.Catalog, event events.Type) []string {
	names := []string{}
	if d := c.Definition(event); d != nil {
		for _, p := range slices.Concat(c.Envelope(), d.Properties) {
			if p.Type == events.TypeDateTime {
				names = append(names, p.Name, events.CamelCase(p.Name))
			}
		}
	}
	return names
}

// randomObject returns a JSON object of random names and values, nested at most so many levels deep.
func randomObject(random *rand.Rand, depth int) string {
	members := make([]string, random.IntN(20))
	for i := range members {
		members[i] = fmt.Sprintf("%s:%s", randomText(random), randomValue(random, depth-1))
	}
	return "{" + strings.Join(members, ",") + "}"
}

func randomValue(random *rand.Rand, depth int) string {
	switch kind := random.IntN(8); {
	case kind == 0 && depth > 0:
		return randomObject(random, depth)
	case kind == 1 && depth > 0:
		elements := make([]string, random.IntN(20))
		for i := range elements {
			elements[i] = randomValue(random, depth-1)
		}
		return "[" + strings.Join(elements, ",") + "]"
	case kind == 2:
		return fmt.Sprint(random.NormFloat64() * float64(random.Uint64()))
	case kind == 3:
		return fmt.Sprint(int64(random.Uint64()) >> random.IntN(64))
	case kind == 4:
		return fmt.Sprint(random.Uint64() >> random.IntN(64))
	case kind == 5:
		return []string{"null", "true", "false"}[random.IntN(3)]
	default:
		return randomText(random)
	}
}

// randomText returns a JSON string of random Unicode letters without surrogates.
func randomText(random *rand.Rand) string {
	letters := make([]rune, random.IntN(40))
	for i := range letters {
		letters[i] = []rune{'A', 'b', 'Ä', 'é', '"', '\\', '\n', '€', '😀', rune(random.IntN(0xd800))}[random.IntN(10)]
	}
	text, _ := json.Marshal(string(letters)) // encoding a string cannot fail
	return string(text)
}
