package hubprotocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/hub"
)

func TestJSONDecode(t *testing.T) {
	raw := func(texts ...string) []json.RawMessage {
		var arguments []json.RawMessage
		for _, text := range texts {
			arguments = append(arguments, json.RawMessage(text))
		}
		return arguments
	}
	tests := []struct {
		name    string
		message string
		kind    MessageType
		want    *Invocation
	}{
		{
			"as JavaScript sends it, type last",
			`{"target":"Subscribe","arguments":[[{"EntityId":"x"}]],"invocationId":"0","type":1}`,
			TypeInvocation, &Invocation{ID: "0", Target: "Subscribe", Arguments: raw(`[{"EntityId":"x"}]`)},
		},
		{
			"as .NET sends it, with headers and stream ids",
			`{"type":1,"headers":{"traceparent":"00-1"},"invocationId":"1","target":"S","arguments":[1,"a",null],` +
				`"streamIds":["1","2"]}`,
			TypeInvocation, &Invocation{
				ID: "1", Target: "S", Arguments: raw("1", `"a"`, "null"), Streams: 2, Traceparent: "00-1",
			},
		},
		{
			"no invocation id", `{"type":1,"target":"S","arguments":[]}`,
			TypeInvocation, &Invocation{Target: "S"},
		},
		{
			"null for what is not there",
			`{"type":1,"invocationId":null,"target":"S","arguments":[],"streamIds":null,"headers":null}`,
			TypeInvocation, &Invocation{Target: "S"},
		},
		{
			"white space, escapes and unknown properties",
			" { \"type\" : 1 , \"x\" : {\"y\":[ ]} ,\r\n\t\"t\\u0061rget\" : \"\\u0053\\\"\\ud83d\\ude00\" , \"arguments\" : " +
				"[ 1.5e3 , [ ] ] } ",
			TypeInvocation, &Invocation{Target: "S\"\U0001f600", Arguments: raw("1.5e3", "[ ]")},
		},
		{
			"a property twice", `{"type":6,"type":1,"arguments":[1],"arguments":[2],"target":"A","target":"B"}`,
			TypeInvocation, &Invocation{Target: "B", Arguments: raw("2")},
		},
		{
			"stream invocation", `{"type":4,"invocationId":"9","target":"S","arguments":[]}`,
			TypeStreamInvocation, &Invocation{ID: "9", Target: "S", Streaming: true},
		},
		{
			"empty target, an unknown method", `{"type":1,"invocationId":"9","target":"","arguments":[]}`,
			TypeInvocation, &Invocation{ID: "9"},
		},
		{"stream item", `{"type":2,"invocationId":"9","item":null}`, TypeStreamItem, nil},
		{"completion with null", `{"type":3,"invocationId":"9","result":null}`, TypeCompletion, nil},
		{"completion with error", `{"type":3,"invocationId":"9","error":"e"}`, TypeCompletion, nil},
		{"cancel", `{"type":5,"invocationId":"9"}`, TypeCancelInvocation, &Invocation{ID: "9"}},
		{"ping", `{"type":6}`, TypePing, nil},
		{"ping with more", `{ "type":6,"x":1}`, TypePing, nil},
		{"close", `{"type":7}`, TypeClose, nil},
		{"close as Java sends it", `{"type":7,"allowReconnect":false}`, TypeClose, nil},
		{"close with error", `{"type":7,"error":"e"}`, TypeClose, nil},
		{"acknowledgement", `{"type":8,"sequenceId":1}`, 8, nil},
		{"a type of the future", `{"type":99}`, 99, nil},
		{"a negative type", `{"type":-1}`, -1, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			kind, invocation, err := jsonCodec{}.decode([]byte(test.message + "\x1e"))
			if err != nil || kind != test.kind {
				t.Fatalf("type %d, %v; want %d", kind, err, test.kind)
			}
			if diff := cmp.Diff(test.want, invocation); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestJSONDecode_Malformed(t *testing.T) {
	deep := strings.Repeat("[", 63) + strings.Repeat("]", 63)
	if _, _, err := (jsonCodec{}).decode([]byte(`{"type":1,"target":"S","arguments":` + deep + "}\x1e")); err != nil {
		t.Errorf("64 levels: %v", err)
	}
	tests := map[string]string{
		"nothing":                   ``,
		"not JSON":                  `hello`,
		"not an object":             `[]`,
		"not finished":              `{"type":1`,
		"something behind":          `{"type":6}{}`,
		"comment":                   `{"type":6/**/}`,
		"trailing comma":            `{"type":6,}`,
		"no type":                   `{}`,
		"type in another case":      `{"Type":6}`,
		"type as a string":          `{"type":"6"}`,
		"type null":                 `{"type":null}`,
		"type with a fraction":      `{"type":6.0}`,
		"type out of range":         `{"type":99999999999}`,
		"no target":                 `{"type":1,"arguments":[]}`,
		"target null":               `{"type":1,"target":null,"arguments":[]}`,
		"no arguments":              `{"type":1,"target":"S"}`,
		"arguments null":            `{"type":1,"target":"S","arguments":null}`,
		"arguments an object":       `{"type":1,"target":"S","arguments":{}}`,
		"invocation id a number":    `{"type":1,"invocationId":1,"target":"S","arguments":[]}`,
		"stream ids not an array":   `{"type":1,"target":"S","arguments":[],"streamIds":1}`,
		"stream ids of numbers":     `{"type":1,"target":"S","arguments":[],"streamIds":[1]}`,
		"headers not an object":     `{"type":1,"target":"S","arguments":[],"headers":[]}`,
		"headers not of strings":    `{"type":1,"target":"S","arguments":[],"headers":{"a":1}}`,
		"stream without id":         `{"type":4,"target":"S","arguments":[]}`,
		"stream item without item":  `{"type":2,"invocationId":"1"}`,
		"completion with both":      `{"type":3,"invocationId":"1","result":1,"error":"e"}`,
		"completion without id":     `{"type":3,"result":1}`,
		"completion error a number": `{"type":3,"invocationId":"1","error":1}`,
		"cancel without id":         `{"type":5}`,
		"close with a wrong flag":   `{"type":7,"allowReconnect":1}`,
		"not UTF-8":                 "{\"type\":1,\"target\":\"\xff\",\"arguments\":[]}",
		"control character":         "{\"type\":1,\"target\":\"\n\",\"arguments\":[]}",
		"65 levels":                 `{"type":1,"target":"S","arguments":[` + deep + `]}`,
	}
	for name, message := range tests {
		t.Run(name, func(t *testing.T) {
			if kind, _, err := (jsonCodec{}).decode([]byte(message + "\x1e")); !errors.Is(err, ErrMalformed) {
				t.Errorf("type %d, %v; want malformed", kind, err)
			}
		})
	}
}

// An invocation outlives the read buffer that it came in.
func TestJSONDecode_KeepsNothingOfTheBuffer(t *testing.T) {
	message := []byte(`{"type":1,"invocationId":"7","target":"S","arguments":["abc"]}` + "\x1e")
	_, invocation, err := jsonCodec{}.decode(message)
	if err != nil {
		t.Fatal(err)
	}
	clear(message)
	want := &Invocation{ID: "7", Target: "S", Arguments: []json.RawMessage{json.RawMessage(`"abc"`)}}
	if diff := cmp.Diff(want, invocation); diff != "" {
		t.Error(diff)
	}
}

func TestJSONEncode(t *testing.T) {
	message := "Unauthorized"
	tests := []struct {
		name       string
		completion Completion
		want       string
	}{
		{"record", Completion{ID: "0", Record: []byte(`{"type":3}`)}, `{"type":3}`},
		{"void", Completion{ID: "0"}, `{"type":3,"invocationId":"0","result":null}`},
		{"bool", Completion{ID: "1", Result: true}, `{"type":3,"invocationId":"1","result":true}`},
		{
			"strings",
			Completion{ID: "1", Result: []string{"a", "<b>"}},
			`{"type":3,"invocationId":"1","result":["a","<b>"]}`,
		},
		{
			"results",
			Completion{ID: "2", Result: []hub.SubscriptionResult{
				{Subscribed: true, EntityID: "e", EventName: "queuestatus"}, {Message: &message, EntityID: "f"},
			}},
			`{"type":3,"invocationId":"2","result":[{"subscribed":true,"message":null,"entityId":"e",` +
				`"eventName":"queuestatus"},{"subscribed":false,"message":"Unauthorized","entityId":"f","eventName":""}]}`,
		},
		{
			"error",
			Completion{ID: `a"b`, Error: "Failed to invoke 'X' <é>\n\x01"},
			`{"type":3,"invocationId":"a\"b","error":"Failed to invoke 'X' <é>\n\u0001"}`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := string(jsonCodec{}.appendCompletion(nil, &test.completion)); got != test.want+"\x1e" {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

func TestAppendJSONString(t *testing.T) {
	for _, text := range []string{
		"", "plain", "<>&'+", "é\U0001f600", "\"\\/", "\b\f\n\r\t", "\x00\x1f\x7f", "\u2028\u2029", "a\xffb",
	} {
		encoded := AppendJSONString(nil, text)
		var decoded string
		if err := json.Unmarshal(encoded, &decoded); err != nil || decoded != strings.ToValidUTF8(text, "\ufffd") {
			t.Errorf("%q became %s, which reads as %q, %v", text, encoded, decoded, err)
		}
	}
}

func FuzzJSONDecode(f *testing.F) {
	f.Add([]byte(`{"target":"Subscribe","arguments":[[{"EntityId":"x"}]],"invocationId":"0","type":1}`))
	f.Add([]byte(`{"type":1,"headers":{"a":"b"},"invocationId":"1","target":"S","arguments":[1.5e-3,"\u00e9",null,true]}`))
	f.Add([]byte(`{"type":6}`))
	f.Add([]byte(`{"type":01}`))
	f.Add([]byte(`{"a":[],"b":{"c":[[{}]]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		// The scanner accepts exactly what the standard library accepts, within its own bounds.
		trimmed := bytes.TrimLeft(text, " \t\r\n")
		want := json.Valid(text) && utf8.Valid(text) && trimmed[0] == '{' && nesting(text) <= maxDepth
		err := readObject(text, func(_, _ []byte) error { return nil })
		if (err == nil) != want {
			t.Fatalf("%q: %v, want accepted %v", text, err, want)
		}
		if _, invocation, err := (jsonCodec{}).decode(append(text, RecordSeparator)); err == nil && invocation != nil {
			for _, argument := range invocation.Arguments {
				if !json.Valid(argument) {
					t.Errorf("argument %q", argument)
				}
			}
		}
	})
}

// nesting returns the nesting of objects and arrays in a JSON text.
func nesting(text []byte) int {
	deepest, depth := 0, 0
	decoder := json.NewDecoder(bytes.NewReader(text))
	for {
		token, err := decoder.Token()
		if err != nil {
			return deepest
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
			deepest = max(deepest, depth)
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}

func FuzzHandshake(f *testing.F) {
	f.Add([]byte(`{"protocol":"json","version":1}`))
	f.Add([]byte(`{"x":[{}],"version":-1,"protocol":"messagep\u0061ck"}`))
	f.Add([]byte(`{"protocol":1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		request, err := ParseHandshake(append(text, RecordSeparator))
		if err != nil {
			return
		}
		var want struct {
			Protocol *string
			Version  *int32
		}
		if err := json.Unmarshal(text, &want); err != nil {
			t.Errorf("%q is accepted: %v", text, err)
		}
		// The answer is JSON for any name of a protocol.
		answer := AppendJSONString(nil, request.Protocol)
		if !json.Valid(answer) {
			t.Errorf("answer %q", answer)
		}
	})
}
