package hub

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/rte-server/rte-server/internal/authz"
)

func TestSession_isSmall(t *testing.T) {
	if size := unsafe.Sizeof(Session{}); size > 96 {
		t.Errorf("a session has %d bytes", size)
	}
}

// FuzzReadRequests compares readRequests with encoding/json.
func FuzzReadRequests(f *testing.F) {
	const guid = `"c9eeb030-ff4b-ea11-ac9c-00155d4fdcf3"`
	for _, seed := range []string{
		"[]", "[null]", `[{"EntityId":"x","EventName":"y"}]`, " [ ] ", "[]]", "[\x1e]", `["\u001e"]`,
		"[[[[[[]]]]]]", "{", "", "[{}]",
		`["\\"]`, `["\""]`, "[\xff]", "[\"\xff\"]", "[1e999]", `[{"a":1,"a":2}]`, `[{"EntityId":"\xff"}]`,
		`[{"EntityId":"a"},]`,
		` [ { "ENTITYID" : ` + guid + ` , "eventname" : "UserStatus" } , {"eventName":"a","EventName":"b"} ] ` + "\n",
		`[{"EntityId":"\u0041","EventName":"ä"}]`, `[{"EntityId":null}]`, `[{"EntityId":1}]`,
		`[{"EntityId":"a"}{}]`, `[{"x":"y",}]`,
		`[{"entit\u017fid":"a"}]`, "[{\"EntityId\":\"\x7f\"}]", `[{"More":{"deep":[1]}}]`, `[{"EntityId":"a"`,
		`[{"EntityId":"a"}] x`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var want []authz.Request
		wanted := isList(text) && json.Unmarshal(text, &want) == nil && depth(text) <= maxDepth
		got, ok := readRequests(text)
		if ok != wanted {
			t.Fatalf("%q: read %v, want %v", text, ok, wanted)
		}
		if ok && !slices.Equal(got, want) {
			t.Fatalf("%q: read %q, want %q", text, got, want)
		}
	})
}

// isList reports whether text begins like an array: encoding/json reads null as a list, too.
func isList(text []byte) bool { return bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("[")) }

// depth returns how deep valid JSON nests.
func depth(text []byte) (deepest int) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	for now := 0; ; deepest = max(deepest, now) {
		token, err := decoder.Token()
		if err != nil {
			return deepest
		}
		switch token {
		case json.Delim('['), json.Delim('{'):
			now++
		case json.Delim(']'), json.Delim('}'):
			now--
		}
	}
}

func TestReadRequests_takesTwoAllocations(t *testing.T) {
	const item = `{"EntityId":"c9eeb030-ff4b-ea11-ac9c-00155d4fdcf3","EventName":"UserStatus"}`
	text := []byte("[" + strings.Repeat(item+",", 19) + item + "]")
	if allocs := testing.AllocsPerRun(100, func() { _, _ = readRequests(text) }); allocs != 2 {
		t.Errorf("allocated %v times, want 2", allocs)
	}
}
