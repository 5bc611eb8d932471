package jsonscan_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/jsonscan"
)

type member struct {
	Name  string
	Value string
}

// FuzzJSON compares every function with encoding/json.
func FuzzJSON(f *testing.F) {
	for _, tc := range texts {
		f.Add([]byte(tc.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		err := jsonscan.Valid(text, levels)
		valid := json.Valid(text)
		switch {
		case err == nil && !valid:
			t.Fatal("accepted; encoding/json refuses it")
		case errors.Is(err, jsonscan.ErrSyntax) && valid:
			t.Fatal("refused; encoding/json accepts it")
		case valid && errors.Is(err, jsonscan.ErrTooDeep) != (depth(text) > levels):
			t.Fatalf("got %v for a depth of %d", err, depth(text))
		}
		checkSkimming(t, text, err)
		if err != nil {
			return
		}
		checkUnquote(t, text)
		checkMembers(t, text)
		checkElements(t, text)
	})
}

// checkSkimming compares with checking where text is valid, and otherwise looks for panics and loops without an end.
func checkSkimming(t *testing.T, text []byte, err error) {
	t.Helper()
	visits := 0
	jsonscan.SkimMembers(text, levels, func(_, _ []byte) bool { visits++; return true })
	jsonscan.SkimElements(text, levels, func([]byte) bool { visits++; return true })
	if visits > len(text) {
		t.Fatalf("%d visits of %d bytes", visits, len(text))
	}
	start := jsonscan.SkipSpace(text, 0)
	end, skimErr := jsonscan.SkimValue(text, start, levels)
	if err != nil {
		return
	}
	if want, _ := jsonscan.ValueEnd(text, start, levels); skimErr != nil || end != want {
		t.Fatalf("skimming: got %d, %v; want %d", end, skimErr, want)
	}
}

func checkUnquote(t *testing.T, text []byte) {
	t.Helper()
	value := bytes.TrimSpace(text)
	got, ok := jsonscan.Unquote(value)
	var want *string
	isString := json.Unmarshal(value, &want) == nil && want != nil
	if ok != isString || ok && string(got) != *want {
		t.Fatalf("unquoted: got %q, %v; want %v", got, ok, want)
	}
}

func checkMembers(t *testing.T, text []byte) {
	t.Helper()
	var got, skimmed []member
	err := jsonscan.Members(text, levels, func(name, value []byte) error {
		got = append(got, member{string(name), string(value)})
		return nil
	})
	if isObject := bytes.TrimLeft(text, " \t\r\n")[0] == '{'; (err == nil) != isObject {
		t.Fatalf("members: %v", err)
	}
	jsonscan.SkimMembers(text, levels, func(name, value []byte) bool {
		skimmed = append(skimmed, member{string(name), string(value)})
		return true
	})
	if diff := cmp.Diff(got, skimmed); diff != "" {
		t.Fatalf("skimmed members: %s", diff)
	}
	if err != nil {
		return
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	mustToken(t, decoder)
	var want []member
	for decoder.More() {
		name, _ := mustToken(t, decoder).(string)
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			t.Fatal(err)
		}
		want = append(want, member{name, string(value)})
	}
	for i := range got { // the decoder replaces what is not UTF-8; Members leaves names as they are
		got[i].Name = string(bytes.ToValidUTF8([]byte(got[i].Name), nil))
		want[i].Name = string(bytes.ReplaceAll([]byte(want[i].Name), []byte("\ufffd"), nil))
		got[i].Name = string(bytes.ReplaceAll([]byte(got[i].Name), []byte("\ufffd"), nil))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("members: %s", diff)
	}
}

func checkElements(t *testing.T, text []byte) {
	t.Helper()
	var got, skimmed []string
	err := jsonscan.Elements(text, levels, func(value []byte) error {
		got = append(got, string(value))
		return nil
	})
	start := jsonscan.SkipSpace(text, 0)
	if isArray := text[start] == '['; (err == nil) != isArray {
		t.Fatalf("elements: %v", err)
	}
	if err != nil {
		return
	}
	jsonscan.SkimElements(text, levels, func(value []byte) bool {
		skimmed = append(skimmed, string(value))
		return true
	})
	var raw []json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, value := range raw {
		want = append(want, string(value))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("elements: %s", diff)
	}
	if diff := cmp.Diff(want, skimmed); diff != "" {
		t.Fatalf("skimmed elements: %s", diff)
	}
	for piece := 1; piece <= 3; piece++ {
		if diff := cmp.Diff(want, cut(text[start+1:], piece)); diff != "" {
			t.Fatalf("elements in pieces of %d: %s", piece, diff)
		}
	}
}

// cut finds the elements of an array whose opening bracket is before text, which arrives in pieces.
func cut(text []byte, piece int) (elements []string) {
	var finder jsonscan.ElementFinder
	var element []byte
	for i := 0; i < len(text); i += piece {
		part := text[i:min(i+piece, len(text))]
		for end := finder.Find(part); end >= 0; end = finder.Find(part) {
			element = bytes.TrimSpace(append(element, part[:end]...))
			if len(element) > 0 {
				elements = append(elements, string(element))
			}
			if element = nil; part[end] == ']' {
				return elements
			}
			part = part[end+1:]
		}
		element = append(element, part...)
	}
	return elements
}

func mustToken(t *testing.T, decoder *json.Decoder) json.Token {
	t.Helper()
	token, err := decoder.Token()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// depth returns how deep valid JSON nests.
func depth(text []byte) int {
	deepest, now, quoted := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			now++
			deepest = max(deepest, now)
		case c == '}' || c == ']':
			now--
		}
	}
	return deepest
}
