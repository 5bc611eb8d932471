package hubprotocol

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	library "github.com/vmihailenco/msgpack/v5"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/msgpack"
)

func fromHex(t *testing.T, text string) []byte {
	t.Helper()
	data, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// The frames of section 1.10, byte by byte.
func TestMessagePackEncode_Bytes(t *testing.T) {
	codec := &messagePackCodec{}
	tests := []struct {
		name string
		got  []byte
		want string
	}{
		{"completion null", codec.appendCompletion(nil, &Completion{ID: "0"}), "07 95 03 80 a1 30 03 c0"},
		{"completion true", codec.appendCompletion(nil, &Completion{ID: "0", Result: true}), "07 95 03 80 a1 30 03 c3"},
		{"completion false", codec.appendCompletion(nil, &Completion{ID: "0", Result: false}), "07 95 03 80 a1 30 03 c2"},
		{
			"completion error, not UTF-8", codec.appendCompletion(nil, &Completion{ID: "0", Error: "'\xff\xfe'"}),
			"0f 95 03 80 a1 30 01 a8 27 ef bf bd ef bf bd 27",
		},
		{
			"completion error", codec.appendCompletion(nil, &Completion{ID: "0", Error: "Error"}),
			"0c 95 03 80 a1 30 01 a5 4572726f72",
		},
		{"ping", codec.appendPing(nil), "02 91 06"},
		{"close, reconnect", codec.appendClose(nil, "", true), "04 93 07 c0 c3"},
		{"close", codec.appendClose(nil, "", false), "04 93 07 c0 c2"},
		{"close, error", codec.appendClose(nil, "E", true), "05 93 07 a1 45 c3"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(fromHex(t, test.want), test.got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A library that we did not write reads our results.
func TestMessagePackEncode_Results(t *testing.T) {
	message := "Unauthorized"
	many := make([]string, 70_000)
	manyAny := make([]any, len(many))
	for i := range many {
		manyAny[i] = ""
	}
	long := strings.Repeat("x", 300)
	tests := []struct {
		name   string
		result any
		want   any
	}{
		{"strings", []string{"a", long, strings.Repeat("y", 70_000)}, []any{"a", long, strings.Repeat("y", 70_000)}},
		{"many strings", many, manyAny},
		{
			"results",
			[]hub.SubscriptionResult{{Subscribed: true, EntityID: "e", EventName: "n"}, {Message: &message}},
			[]any{
				map[string]any{"Subscribed": true, "Message": nil, "EntityId": "e", "EventName": "n"},
				map[string]any{"Subscribed": false, "Message": "Unauthorized", "EntityId": "", "EventName": ""},
			},
		},
		{
			"subscriptions",
			[]hub.Subscription{{
				ID: "i", AllRootEntities: true, RootEntityID: "r", RootEntityType: "t", OrganizationID: "o", EventType: "v",
				EntityType: "u", EntityID: "e",
			}},
			[]any{map[string]any{
				"Id": "i", "AllRootEntities": true, "RootEntityId": "r", "RootEntityType": "t", "OrganizationId": "o",
				"EventType": "v", "EntityType": "u", "EntityId": "e", "AllEntities": false,
			}},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			message := (&messagePackCodec{}).appendCompletion(nil, &Completion{ID: "17", Result: test.result})
			if n, done, err := takeMessagePack(nil, message, 1<<20); n != len(message) || !done || err != nil {
				t.Fatalf("length prefix: %d, %v, %v", n, done, err)
			}
			var got []any
			if err := library.Unmarshal(bodyOf(message), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]any{int8(3), map[string]any{}, "17", int8(3), test.want}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// framed returns a hub message, encoded by that library.
func framed(t testing.TB, values ...any) []byte {
	t.Helper()
	body, err := library.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	return appendPackMessage(nil, body)
}

func TestMessagePackDecode(t *testing.T) {
	raw := func(texts ...string) []json.RawMessage {
		var arguments []json.RawMessage
		for _, text := range texts {
			arguments = append(arguments, json.RawMessage(text))
		}
		return arguments
	}
	none := map[string]string{}
	tests := []struct {
		name    string
		message []byte
		kind    MessageType
		want    *Invocation
	}{
		{
			"as JavaScript sends it, 5 elements", framed(
				t, 1, none, "0", "Subscribe", []any{[]any{map[string]any{"EntityId": "x"}}},
			),
			TypeInvocation, &Invocation{ID: "0", Target: "Subscribe", Arguments: raw(`[{"EntityId":"x"}]`)},
		},
		{
			"6 elements, as .NET and Java send it", framed(t, 1, none, "1", "S", []any{}, []string{"5"}),
			TypeInvocation, &Invocation{ID: "1", Target: "S", Streams: 1},
		},
		{
			"id nil, headers", framed(t, 1, map[string]string{"traceparent": "00"}, nil, "S", []any{}),
			TypeInvocation, &Invocation{Target: "S", Traceparent: "00"},
		},
		{"id empty", framed(t, 1, none, "", "S", []any{}), TypeInvocation, &Invocation{Target: "S"}},
		{"streams nil", framed(t, 1, none, "", "S", []any{}, nil), TypeInvocation, &Invocation{Target: "S"}},
		{
			"stream invocation", framed(t, 4, none, "9", "S", []any{}, []string{}),
			TypeStreamInvocation, &Invocation{ID: "9", Target: "S", Streaming: true},
		},
		{"stream item", framed(t, 2, none, "9", 1), TypeStreamItem, nil},
		{"completion", framed(t, 3, none, "9", 2), TypeCompletion, nil},
		{"cancel", framed(t, 5, none, "9"), TypeCancelInvocation, &Invocation{ID: "9"}},
		{"ping", []byte{2, 0x91, 6}, TypePing, nil},
		{"close, 2 elements, as JavaScript sends it", []byte{3, 0x92, 7, 0xc0}, TypeClose, nil},
		{"close, 3 elements", []byte{4, 0x93, 7, 0xc0, 0xc2}, TypeClose, nil},
		{"acknowledgement", []byte{3, 0x92, 8, 0x24}, 8, nil},
		{"a type of the future", framed(t, 200), 200, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			kind, invocation, err := (&messagePackCodec{}).decode(test.message)
			if err != nil || kind != test.kind {
				t.Fatalf("type %d, %v; want %d", kind, err, test.kind)
			}
			if diff := cmp.Diff(test.want, invocation); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// keysInKeys returns an invocation with a map whose key is a map, and so on. As JSON text each level quoted the inner
// one. So these few bytes became megabytes once, and a few more would have taken all memory.
func keysInKeys(levels int) []byte {
	body := append([]byte{0x95, 0x01, 0x80, 0xa1, '7', 0xa1, 'S', 0x91}, bytes.Repeat([]byte{0x81}, levels)...)
	body = append(body, 0xa1, 'a')
	return appendPackMessage(nil, append(body, bytes.Repeat([]byte{msgpack.Nil}, levels)...))
}

// deepArguments is an invocation whose argument nests.
func deepArguments(t *testing.T, levels int) []byte {
	t.Helper()
	body := append(fromHex(t, "95 01 80 a1 37 a1 53 91"), bytes.Repeat([]byte{0x91}, levels)...)
	return appendPackMessage(nil, append(body, msgpack.Nil))
}

func TestMessagePackDecode_Malformed(t *testing.T) {
	none := map[string]string{}
	tests := map[string][]byte{
		"nothing":            {0},
		"not an array":       {1, 0x06},
		"empty array":        {1, 0x90},
		"type a string":      {3, 0x91, 0xa1, '6'},
		"type out of range":  fromHex(t, "0a 91 cf ff ff ff ff ff ff ff ff"),
		"half an invocation": {2, 0x95, 0x01},
		"no target":          framed(t, 1, none, "0", "", []any{}),
		"target nil":         framed(t, 1, none, "0", nil, []any{}),
		"headers not a map":  framed(t, 1, []any{}, "0", "S", []any{}),
		"headers of numbers": framed(t, 1, map[string]int{"a": 1}, "0", "S", []any{}),
		"id a number":        framed(t, 1, none, 1, "S", []any{}),
		"stream without id":  framed(t, 4, none, nil, "S", []any{}),
		"cancel without id":  framed(t, 5, none, nil),
	}
	for name, message := range tests {
		t.Run(name, func(t *testing.T) {
			if kind, _, err := (&messagePackCodec{}).decode(message); !errors.Is(err, ErrMalformed) {
				t.Errorf("type %d, %v; want malformed", kind, err)
			}
		})
	}
}

// Malformed arguments closed the connection, where ASP.NET Core, and this server in JSON, fail the call alone.
func TestMessagePackDecode_badArgumentsFailTheCallAlone(t *testing.T) {
	none := map[string]string{}
	tests := map[string][]byte{
		"missing":                 framed(t, 1, none, "7", "S"),
		"nil":                     framed(t, 1, none, "7", "S", nil),
		"a map":                   framed(t, 1, none, "7", "S", none),
		"a string":                framed(t, 1, none, "7", "S", "x"),
		"nested too deep":         deepArguments(t, 70),
		"longer than data":        fromHex(t, "0c 95 01 80 a1 37 a1 53 dd ff ff ff ff"),
		"more than there are":     fromHex(t, "08 95 01 80 a1 37 a1 53 92 c0"),
		"map longer than data":    fromHex(t, "0d 95 01 80 a1 37 a1 53 91 df ff ff ff ff"),
		"string longer than data": fromHex(t, "0d 95 01 80 a1 37 a1 53 91 db 7f ff ff ff"),
		"never used format":       fromHex(t, "09 95 01 80 a1 37 a1 53 91 c1"),
		"timestamp of 1 byte":     fromHex(t, "0b 95 01 80 a1 37 a1 53 91 d4 ff 00"),
		"array as a key":          fromHex(t, "0c 95 01 80 a1 37 a1 53 91 81 91 01 c0"),
		"wide array as a key":     fromHex(t, "0d 95 01 80 a1 37 a1 53 91 81 dc 00 00 c0"),
		"map as a key":            fromHex(t, "0b 95 01 80 a1 37 a1 53 91 81 80 c0"),
		"wide map as a key":       fromHex(t, "0f 95 01 80 a1 37 a1 53 91 81 df 00 00 00 00 c0"),
		"keys in keys":            keysInKeys(20),
		"stream ids a map":        framed(t, 1, none, "7", "S", []any{}, none),
		"stream ids missing":      fromHex(t, "07 96 01 80 a1 37 a1 53 90"),
	}
	for name, message := range tests {
		t.Run(name, func(t *testing.T) {
			kind, got, err := (&messagePackCodec{}).decode(message)
			want := &Invocation{ID: "7", Target: "S", Malformed: true}
			if diff := cmp.Diff(want, got); diff != "" || kind != TypeInvocation || err != nil {
				t.Errorf("type %d, %v\n%s", kind, err, diff)
			}
		})
	}
}

// JSON has no NaN. A property that nothing reads may have one.
func TestMessagePackDecode_notANumber(t *testing.T) {
	for _, value := range []any{math.NaN(), math.Inf(1), float32(math.Inf(-1))} {
		argument := map[string]any{"EntityId": "x", "Weight": value}
		_, got, err := (&messagePackCodec{}).decode(framed(t, 1, map[string]string{}, "7", "S", []any{argument}))
		if err != nil || got.Malformed || !json.Valid(got.Arguments[0]) {
			t.Errorf("%v: %+v, %v", value, got, err)
		}
	}
	if _, got, err := (&messagePackCodec{}).decode(deepArguments(t, 60)); err != nil || got.Malformed {
		t.Errorf("62 levels: %+v, %v", got, err)
	}
}

func TestMessagePackToJSON(t *testing.T) {
	tests := []struct{ packed, want string }{
		{"c0", `null`},
		{"c2", `false`},
		{"c3", `true`},
		{"00", `0`},
		{"7f", `127`},
		{"e0", `-32`},
		{"ff", `-1`},
		{"cc ff", `255`},
		{"cd ff ff", `65535`},
		{"ce ff ff ff ff", `4294967295`},
		{"cf ff ff ff ff ff ff ff ff", `18446744073709551615`},
		{"d0 80", `-128`},
		{"d0 7f", `127`},
		{"d1 80 00", `-32768`},
		{"d2 80 00 00 00", `-2147483648`},
		{"d3 80 00 00 00 00 00 00 00", `-9223372036854775808`},
		{"ca 3f c0 00 00", `1.5`},
		{"cb 3f f8 00 00 00 00 00 00", `1.5`},
		{"a0", `""`},
		{"a2 61 22", `"a\""`},
		{"a1 ff", "\"\ufffd\""},
		{"d9 01 61", `"a"`},
		{"da 00 01 61", `"a"`},
		{"db 00 00 00 01 61", `"a"`},
		{"c4 02 00 ff", `"AP8="`},
		{"c5 00 01 61", `"YQ=="`},
		{"c6 00 00 00 01 61", `"YQ=="`},
		{"90", `[]`},
		{"93 01 90 c0", `[1,[],null]`},
		{"dc 00 01 01", `[1]`},
		{"dd 00 00 00 01 01", `[1]`},
		{"80", `{}`},
		{"82 a1 61 01 02 a1 62", `{"a":1,"2":"b"}`},
		{"85 c2 01 c3 02 c0 03 0a 04 ca 3f c0 00 00 05", `{"false":1,"true":2,"null":3,"10":4,"1.5":5}`},
		{"de 00 01 a1 61 01", `{"a":1}`},
		{"df 00 00 00 01 a1 61 01", `{"a":1}`},
		{"d6 ff 00 00 00 00", `"1970-01-01T00:00:00Z"`},
		{"d7 ff 77 35 94 00 65 31 3e 2f", `"2023-10-19T14:33:19.5Z"`},
		{"c7 0c ff 1d cd 65 00 00 00 00 00 65 31 3e 2f", `"2023-10-19T14:33:19.5Z"`},
		{"d4 01 00", `null`},
	}
	for _, test := range tests {
		r := msgpack.NewReader(fromHex(t, test.packed))
		if got := appendAsJSON(nil, &r, 0); r.Err() != nil || r.Remaining() != 0 || string(got) != test.want {
			t.Errorf("%s: %s, %v, %d bytes left; want %s", test.packed, got, r.Err(), r.Remaining(), test.want)
		}
	}
}

func FuzzMessagePackDecode(f *testing.F) {
	f.Add(
		framed(
			f, 1, map[string]string{"a": "b"}, "0", "S",
			[]any{1, -1, 1.5, "x", nil, []any{true}, map[string]any{"k": []byte{1}}},
		),
	)
	f.Add([]byte{2, 0x91, 6})
	f.Add([]byte{3, 0x92, 7, 0xc0})
	f.Add([]byte{0x0d, 0x95, 0x01, 0x80, 0xc0, 0xa1, 0x53, 0x91, 0xd7, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Add(keysInKeys(8))
	f.Add(
		framed(f, 1, map[string]string{}, "0", "S", []any{map[any]any{false: false, true: true, nil: 1e-300, 1.5: "\x00"}}),
	)
	f.Fuzz(func(t *testing.T, message []byte) {
		n, done, err := takeMessagePack(nil, message, 32<<10)
		if err != nil || !done {
			return
		}
		kind, invocation, err := (&messagePackCodec{}).decode(message[:n])
		if err != nil || invocation == nil {
			return
		}
		if invocation.Malformed && len(invocation.Arguments)+invocation.Streams > 0 {
			t.Errorf("half of the arguments: %+v", invocation)
		}
		if kind != TypeInvocation && kind != TypeStreamInvocation || invocation.Target == "" {
			t.Errorf("type %d: %+v", kind, invocation)
		}
		produced := len(invocation.ID) + len(invocation.Target)
		for _, argument := range invocation.Arguments {
			if !json.Valid(argument) {
				t.Errorf("argument %q", argument)
			}
			produced += len(argument)
		}
		if produced > maxJSONGrowth*n {
			t.Errorf("%d bytes from %d", produced, n)
		}
	})
}

// Notices in both protocols, with the times as .NET and as Java can read them.
func TestEncode_Resync(t *testing.T) {
	from := time.Date(2026, 11, 23, 6, 0, 0, 250_000_000, time.UTC)
	notice := &hub.Resync{
		OrganizationID: "o", Reason: "outage", From: &from, Total: 70_000,
		Subscriptions: []hub.Subscription{{ID: "i", EntityID: "e"}},
	}
	const want = `{"type":1,"target":"Resync","arguments":[{"organizationId":"o","reason":"outage",` +
		`"from":"2026-11-23T06:00:00.25Z","to":null,"total":70000,"subscriptions":[{"id":"i","allRootEntities":false,` +
		`"rootEntityId":"","rootEntityType":"","organizationId":"","eventType":"","entityType":"","entityId":"e",` +
		`"allEntities":false}]}]}`
	if diff := cmp.Diff(want+"\x1e", string(jsonCodec{}.appendNotice(nil, notice.Target(), notice))); diff != "" {
		t.Error(diff)
	}
	for style, moment := range map[events.PackStyle]any{
		events.PascalKeys: from, events.TextTimes: "2026-11-23T06:00:00.25Z",
	} {
		frame := (&messagePackCodec{keys: packKeys{style}}).appendNotice(nil, notice.Target(), notice)
		if n, done, err := takeMessagePack(nil, frame, 1<<20); n != len(frame) || !done || err != nil {
			t.Fatalf("length prefix: %d, %v, %v", n, done, err)
		}
		var message []any
		if err := library.Unmarshal(bodyOf(frame), &message); err != nil {
			t.Fatal(err)
		}
		argument := message[4].([]any)[0].(map[string]any)
		if at, ok := argument["From"].(time.Time); ok {
			argument["From"] = at.UTC()
		}
		if diff := cmp.Diff([]any{moment, nil, uint32(70_000), "outage", 1}, []any{
			argument["From"], argument["To"], argument["Total"], argument["Reason"], len(argument["Subscriptions"].([]any)),
		}); diff != "" {
			t.Error(diff)
		}
	}
}
