package events_test

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/events"
)

func TestAppendMessagePack_writesShortestForms(t *testing.T) {
	c := events.Builtin()
	userSetting, _ := c.Lookup("UserSetting")
	userStatus, _ := c.Lookup("UserStatus")
	tests := map[string]struct {
		event      events.Type
		style      events.PackStyle
		data, want string
	}{
		"Empty":       {0, 0, ` { } `, "80"},
		"SpecRow1.10": {0, 0, `{"A":1}`, "81 a141 01"},
		"Literals":    {0, 0, `{"A":[null,true,false,[],{}]}`, "81 a141 95 c0 c3 c2 90 80"},
		"SmallIntegers": {
			0, 0, `{"A":[0,127,128,255,256,65535,65536]}`, "81 a141 97 00 7f cc80 ccff cd0100 cdffff ce00010000",
		},
		"LargeIntegers": {
			0, 0, `{"A":[4294967295,4294967296,18446744073709551615]}`,
			"81 a141 93 ceffffffff cf0000000100000000 cfffffffffffffffff",
		},
		"NegativeIntegers": {
			0, 0, `{"A":[-1,-32,-33,-128,-129,-32768,-32769]}`, "81 a141 97 ff e0 d0df d080 d1ff7f d18000 d2ffff7fff",
		},
		"MostNegative": {
			0, 0, `{"A":[-2147483648,-2147483649,-9223372036854775808]}`,
			"81 a141 93 d280000000 d3ffffffff7fffffff d38000000000000000",
		},
		"BeyondIntegers": {
			0, 0, `{"A":[18446744073709551616,-9223372036854775809]}`, "81 a141 92 cb43f0000000000000 cbc3e0000000000000",
		},
		"Floats": {
			0, 0, `{"A":[1.5,1e2,-0,-0.0]}`,
			"81 a141 94 cb3ff8000000000000 cb4059000000000000 cb8000000000000000 cb8000000000000000",
		},
		"FloatOutOfRange": {0, 0, `{"A":[1e999,-1e999]}`, "81 a141 92 cb7ff0000000000000 cbfff0000000000000"},
		"Escapes": {
			0, 0, `{"\u0041":"\"\\\/\b\f\n\r\t\u00e4\ud83d\ude00\ud83d"}`, "81 a141 b1 225c2f080c0a0d09 c3a4 f09f9880 efbfbd",
		},
		"UnknownStaysString": {
			0, 0, `{"Timestamp":"1970-01-01T00:00:01Z"}`,
			"81 a9 54696d657374616d70 b4" + hex.EncodeToString([]byte("1970-01-01T00:00:01Z")),
		},
		"Time32": {
			userStatus, 0, `{"Timestamp":"1970-01-01T00:00:01Z"}`, "81 a9 54696d657374616d70 d6ff 00000001",
		},
		"TimeWithoutZone": {
			userStatus, 0, `{"Timestamp":"1970-01-01T00:00:01"}`, "81 a9 54696d657374616d70 d6ff 00000001",
		},
		"TimeWithOffset": {
			userStatus, 0, `{"Timestamp":"1970-01-01T02:00:01\u002B02:00"}`, "81 a9 54696d657374616d70 d6ff 00000001",
		},
		"Time64OfTicks": {
			userStatus, 0, `{"WrapUpEnd":"1970-01-01T00:00:01.0000001Z"}`, "81 a9 57726170557045 6e64 d7ff 0000019000000001",
		},
		"Time64After2106": {
			userStatus, 0, `{"WrapUpEnd":"2106-02-07T06:28:16Z"}`, "81 a9 577261705570456e64 d7ff 0000000100000000",
		},
		"Time96OfMinValue": {
			userStatus, 0, `{"WrapUpEnd":"0001-01-01T00:00:00"}`, "81 a9 577261705570456e64 c70cff 00000000 fffffff1886e0900",
		},
		"Time96OfMaxValue": {
			userStatus, 0, `{"WrapUpEnd":"9999-12-31T23:59:59.9999999"}`,
			"81 a9 577261705570456e64 c70cff 3b9ac99c 0000003afff4417f",
		},
		"TimeNull":       {userStatus, 0, `{"WrapUpEnd":null}`, "81 a9 577261705570456e64 c0"},
		"TimeUnreadable": {userStatus, 0, `{"WrapUpEnd":"soon"}`, "81 a9 577261705570456e64 a4 736f6f6e"},
		"TimeOfFebruary30": {
			userStatus, 0, `{"WrapUpEnd":"2023-02-30T00:00:00"}`,
			"81 a9 577261705570456e64 b3" + hex.EncodeToString([]byte("2023-02-30T00:00:00")),
		},
		"TimeInNestedObject": {
			userStatus, 0, `{"A":{"Timestamp":"1970-01-01T00:00:01Z"}}`,
			"81 a141 81 a9 54696d657374616d70 b4" + hex.EncodeToString([]byte("1970-01-01T00:00:01Z")),
		},
		"PascalOfCamelCase": {
			userStatus, 0, `{"messageTTLSeconds":1,"other":2,"wrapUpEnd":"1970-01-01T00:00:01Z"}`,
			"83 b1" + hex.EncodeToString([]byte("MessageTTLSeconds")) + "01 a5" + hex.EncodeToString([]byte("other")) +
				"02 a9 577261705570456e64 d6ff 00000001",
		},
		"CamelKeys": {
			userStatus, events.CamelKeys, `{"ID":1,"A":[{"Bc":2}],"Ä":3,"WrapUpEnd":"1970-01-01T00:00:01Z"}`,
			"84 a26964 01 a161 91 81 a26263 02 a2c3a4 03 a9 777261705570456e64 d6ff 00000001",
		},
		"EventTypeInOtherCase": {
			userStatus, 0, `{"EventType":"userSTATUS"}`,
			"81 a9" + hex.EncodeToString([]byte("EventType")) + "aa" + hex.EncodeToString([]byte("UserStatus")),
		},
		"EventTypeInCamelCase": {
			userStatus, events.CamelKeys, `{"eventType":"\u0075serstatus"}`,
			"81 a9" + hex.EncodeToString([]byte("eventType")) + "aa" + hex.EncodeToString([]byte("UserStatus")),
		},
		"EventTypePascalOfCamel": {
			userStatus, 0, `{"eventType":"userstatus"}`,
			"81 a9" + hex.EncodeToString([]byte("EventType")) + "aa" + hex.EncodeToString([]byte("UserStatus")),
		},
		"DictionaryKeys": {
			userSetting, events.CamelKeys, `{"Values":{"Key":{"In":1}}}`,
			"81 a6" + hex.EncodeToString([]byte("values")) + "81 a3 4b6579 81 a2 496e 01",
		},
		"Map16":  {0, 0, "{" + strings.Repeat(`"A":1,`, 15) + `"A":1}`, "de0010" + strings.Repeat("a14101", 16)},
		"List16": {0, 0, `{"A":[` + strings.Repeat(`1,`, 299) + `1]}`, "81 a141 dc012c" + strings.Repeat("01", 300)},
		"List32": {0, 0, `{"A":[` + strings.Repeat(`1,`, 65535) + `1]}`, "81 a141 dd00010000" + strings.Repeat("01", 65536)},
		"Str8":   {0, 0, `{"A":"` + strings.Repeat("x", 32) + `"}`, "81 a141 d920" + strings.Repeat("78", 32)},
		"Str16":  {0, 0, `{"A":"` + strings.Repeat("x", 256) + `"}`, "81 a141 da0100" + strings.Repeat("78", 256)},
		"Str32":  {0, 0, `{"A":"` + strings.Repeat("x", 65536) + `"}`, "81 a141 db00010000" + strings.Repeat("78", 65536)},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			ev := events.Event{Topic: events.Topic{Type: tc.event}, Data: []byte(tc.data)}
			got, err := c.AppendMessagePack([]byte{0xaa}, &ev, tc.style)
			if err != nil {
				t.Fatal(err)
			}
			if want := "aa" + strings.ReplaceAll(tc.want, " ", ""); hex.EncodeToString(got) != want {
				t.Errorf("got  %x\nwant %s", got, want)
			}
		})
	}
}

func TestAppendMessagePack_refuses(t *testing.T) {
	c := events.Builtin()
	userStatus, _ := c.Lookup("UserStatus")
	for name, tc := range malformed() {
		t.Run(name, func(t *testing.T) {
			ev := events.Event{Topic: events.Topic{Type: userStatus}, Data: []byte(tc.data)}
			got, err := c.AppendMessagePack([]byte("before"), &ev, events.PascalKeys)
			if !errors.Is(err, tc.want) {
				t.Errorf("got error %v, want %v", err, tc.want)
			}
			if string(got) != "before" {
				t.Errorf("got %q, want dst unchanged", got)
			}
		})
	}
	t.Run("TruncatedDateTime", func(t *testing.T) {
		ev := events.Event{Topic: events.Topic{Type: userStatus}, Data: []byte(`{"Timestamp":"2020`)}
		if _, err := c.AppendMessagePack(nil, &ev, events.PascalKeys); !errors.Is(err, events.ReasonNotJSON) {
			t.Errorf("got error %v", err)
		}
	})
}

// TestAppendMessagePack_samples reads the output with another implementation.
func TestAppendMessagePack_samples(t *testing.T) {
	c := events.Builtin()
	for _, name := range c.Names() {
		t.Run(name, func(t *testing.T) {
			ev := mustDecode(t, c, sample(t, name))
			for style, want := range map[events.PackStyle]any{
				events.PascalKeys:                   decoded(t, ev.Data),
				events.CamelKeys:                    renamed(t, c, &ev),
				events.TextTimes:                    decoded(t, ev.Data),
				events.CamelKeys | events.TextTimes: renamed(t, c, &ev),
			} {
				dates := dateTimes(c, ev.Type)
				if style&events.TextTimes != 0 {
					dates = nil
				}
				got, err := c.AppendMessagePack(nil, &ev, style)
				if err != nil {
					t.Fatal(err)
				}
				if diff := samePacked(unpacked(t, got), want, dates); diff != "" {
					t.Errorf("style %d: %s", style, diff)
				}
			}

			camel, err := c.AppendJSON(nil, &ev)
			if err != nil {
				t.Fatal(err)
			}
			fromCamel := events.Event{Topic: ev.Topic, Data: camel}
			got, err := c.AppendMessagePack(nil, &fromCamel, events.PascalKeys)
			if err != nil {
				t.Fatal(err)
			}
			if diff := samePacked(unpacked(t, got), decoded(t, ev.Data), dateTimes(c, ev.Type)); diff != "" {
				t.Errorf("from camel case: %s", diff)
			}
		})
	}
}

func TestAppendMessagePack_growsOnce(t *testing.T) {
	c := events.Builtin()
	for _, name := range c.Names() {
		ev := mustDecode(t, c, sample(t, name))
		var roomy [4096]byte
		for _, style := range []events.PackStyle{events.PascalKeys, events.CamelKeys} {
			if allocs := testing.AllocsPerRun(10, func() { _, _ = c.AppendMessagePack(roomy[:0], &ev, style) }); allocs != 0 {
				t.Errorf("%s: allocated %v times with room, want 0", name, allocs)
			}
			if allocs := testing.AllocsPerRun(10, func() { _, _ = c.AppendMessagePack(nil, &ev, style) }); allocs != 1 {
				t.Errorf("%s: allocated %v times without room, want 1", name, allocs)
			}
		}
	}
}
