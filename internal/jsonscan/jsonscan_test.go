package jsonscan_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/jsonscan"
)

// levels is how deep the texts of the tests may nest.
const levels = 4

// texts are well-formed and malformed texts of every kind. They seed the fuzz targets.
var texts = []struct {
	text string
	want error
}{
	{`{}`, nil},
	{" \t\r\n{ \"a\" : 1 , \"b\" : [ ] } \n", nil},
	{`{"a":{"b":{"c":{}}}}`, nil},
	{`[[[[]]]]`, nil},
	{`[1,-0,0.5,1e9,1E+9,1.5e-300,true,false,null]`, nil},
	{`"text"`, nil},
	{`"\"\\\/\b\f\n\r\t\u00e4\uD83D\uDE00"`, nil},
	{`"\ud83d lone \udE00"`, nil},
	{"\"\x7f \xff \xe4\xb8\"", nil},
	{`{"a":1,"a":2}`, nil},
	{`{"\u0061":"b"}`, nil},
	{`0`, nil},
	{`{"a":{"b":{"c":{"d":{}}}}}`, jsonscan.ErrTooDeep},
	{`[[[[[`, jsonscan.ErrTooDeep},
	{`[[],[[[[1]]]]]`, jsonscan.ErrTooDeep},
	{``, jsonscan.ErrSyntax},
	{` `, jsonscan.ErrSyntax},
	{`{`, jsonscan.ErrSyntax},
	{`{"a"}`, jsonscan.ErrSyntax},
	{`{"a":}`, jsonscan.ErrSyntax},
	{`{"a":1,}`, jsonscan.ErrSyntax},
	{`{,"a":1}`, jsonscan.ErrSyntax},
	{`{"a":1 "b":2}`, jsonscan.ErrSyntax},
	{`{a:1}`, jsonscan.ErrSyntax},
	{`{"a":1}}`, jsonscan.ErrSyntax},
	{`[1,]`, jsonscan.ErrSyntax},
	{`[1 2]`, jsonscan.ErrSyntax},
	{`[1}`, jsonscan.ErrSyntax},
	{`[`, jsonscan.ErrSyntax},
	{`"`, jsonscan.ErrSyntax},
	{`"\`, jsonscan.ErrSyntax},
	{`"\"`, jsonscan.ErrSyntax},
	{`"\x"`, jsonscan.ErrSyntax},
	{`"\u12g4"`, jsonscan.ErrSyntax},
	{`"\u123`, jsonscan.ErrSyntax},
	{"\"a\nb\"", jsonscan.ErrSyntax},
	{"\"12345678\x00\"", jsonscan.ErrSyntax},
	{`01`, jsonscan.ErrSyntax},
	{`-`, jsonscan.ErrSyntax},
	{`+1`, jsonscan.ErrSyntax},
	{`1.`, jsonscan.ErrSyntax},
	{`.5`, jsonscan.ErrSyntax},
	{`1e`, jsonscan.ErrSyntax},
	{`nul`, jsonscan.ErrSyntax},
	{`nulll`, jsonscan.ErrSyntax},
	{`True`, jsonscan.ErrSyntax},
	{`NaN`, jsonscan.ErrSyntax},
	{"\v1", jsonscan.ErrSyntax},
	{"\ufeff1", jsonscan.ErrSyntax},
}

func TestValid_acceptsWhatEncodingJSONAccepts(t *testing.T) {
	for _, tc := range texts {
		if got := jsonscan.Valid([]byte(tc.text), levels); !errors.Is(got, tc.want) {
			t.Errorf("%q: got %v, want %v", tc.text, got, tc.want)
		}
		if valid := json.Valid([]byte(tc.text)); valid != (tc.want == nil) && !errors.Is(tc.want, jsonscan.ErrTooDeep) {
			t.Errorf("%q: encoding/json.Valid is %v", tc.text, valid)
		}
	}
}

func TestMembers_visitsEachMemberInOrder(t *testing.T) {
	const text = ` {"plain":1, "\u0061\n" : "b\"c" ,"plain":{"x":[ 1 ]},"last":null } `
	var got []string
	err := jsonscan.Members([]byte(text), levels, func(name, value []byte) error {
		got = append(got, string(name)+"="+string(value))
		return nil
	})
	want := []string{"plain=1", "a\n=" + `"b\"c"`, `plain={"x":[ 1 ]}`, "last=null"}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestElements_visitsEachElementInOrder(t *testing.T) {
	var got []string
	err := jsonscan.Elements([]byte(` [ 1 ,"a", [2,3],{} ] `), levels, func(value []byte) error {
		got = append(got, string(value))
		return nil
	})
	if diff := cmp.Diff([]string{"1", `"a"`, "[2,3]", "{}"}, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestMembersAndElements_refuseOtherKinds(t *testing.T) {
	nothing := func([]byte) error { return nil }
	none := func(_, _ []byte) error { return nil }
	for _, text := range []string{``, `1`, `"{}"`, `null`, `{} 1`, `[] 1`} {
		if err := jsonscan.Members([]byte(text), levels, none); !errors.Is(err, jsonscan.ErrSyntax) {
			t.Errorf("Members of %q: got %v", text, err)
		}
		if err := jsonscan.Elements([]byte(text), levels, nothing); !errors.Is(err, jsonscan.ErrSyntax) {
			t.Errorf("Elements of %q: got %v", text, err)
		}
	}
	if err := jsonscan.Members([]byte(`[]`), levels, none); !errors.Is(err, jsonscan.ErrSyntax) {
		t.Errorf("Members of an array: got %v", err)
	}
	if err := jsonscan.Elements([]byte(`{}`), levels, nothing); !errors.Is(err, jsonscan.ErrSyntax) {
		t.Errorf("Elements of an object: got %v", err)
	}
}

func TestMembersAndElements_returnTheErrorOfVisit(t *testing.T) {
	enough := errors.New("enough")
	calls := 0
	err := jsonscan.Members([]byte(`{"a":1,"b":2,`), levels, func(_, _ []byte) error { calls++; return enough })
	if !errors.Is(err, enough) || calls != 1 {
		t.Errorf("Members: got %v after %d calls", err, calls)
	}
	calls = 0
	err = jsonscan.Elements([]byte(`[1,2,`), levels, func([]byte) error { calls++; return enough })
	if !errors.Is(err, enough) || calls != 1 {
		t.Errorf("Elements: got %v after %d calls", err, calls)
	}
}

func TestUnquote_refusesWhatIsNoString(t *testing.T) {
	for _, value := range []string{``, `"`, `a`, `null`, `1`, `["a"]`, ` "a"`, `"a" `, `"a"b"`, `"\x"`, "\"\n\"", `"\"`} {
		if text, ok := jsonscan.Unquote([]byte(value)); ok {
			t.Errorf("%q: got %q", value, text)
		}
	}
}

func TestSkimMembers_stopsWhereItMust(t *testing.T) {
	tests := map[string]struct {
		text string
		want []string
	}{
		"all":            {`{"a":1,"\u0062":[2,{"x":"}"}]}`, []string{"a=1", `b=[2,{"x":"}"}]`}},
		"visit is false": {`{"a":1,"stop":2,"c":3}`, []string{"a=1", "stop=2"}},
		"malformed":      {`{"a":1,"b":tru,"c":3}`, []string{"a=1"}},
		"cut off":        {`{"a":1,"b":"`, []string{"a=1"}},
		"too deep":       {`{"a":1,"b":[[[[]]]]}`, []string{"a=1"}},
		"not an object":  {`[1]`, nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			jsonscan.SkimMembers([]byte(tc.text), levels, func(name, value []byte) bool {
				got = append(got, string(name)+"="+string(value))
				return string(name) != "stop"
			})
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSkimElements_stopsWhereItMust(t *testing.T) {
	tests := map[string]struct {
		text string
		want []string
	}{
		"all":            {` [ 1 , "]" ,{"a":[]}]`, []string{"1", `"]"`, `{"a":[]}`}},
		"visit is false": {`[1,0,2]`, []string{"1", "0"}},
		"malformed":      {`[1,x,2]`, []string{"1"}},
		"cut off":        {`[1,[2`, []string{"1"}},
		"not an array":   {`{"a":1}`, nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			jsonscan.SkimElements([]byte(tc.text), levels, func(value []byte) bool {
				got = append(got, string(value))
				return string(value) != "0"
			})
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMembers_allocatesNothingForPlainNames(t *testing.T) {
	text := []byte(`{"type":1,"target":"Subscribe","arguments":[[{"EntityId":"a","EventName":"b"}]]}`)
	total := 0
	allocs := testing.AllocsPerRun(100, func() {
		_ = jsonscan.Members(text, levels, func(name, value []byte) error {
			unquoted, _ := jsonscan.Unquote(value)
			total += len(name) + len(unquoted)
			return nil
		})
	})
	if allocs != 0 {
		t.Errorf("allocated %v times, want 0", allocs)
	}
}

func BenchmarkMembers(b *testing.B) {
	text := []byte(`{"a":"` + strings.Repeat("x", 1000) + `","b":[1,2,{"c":null}]}`)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if err := jsonscan.Members(text, levels, func(_, _ []byte) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSkimMembers(b *testing.B) {
	text := []byte(`{"a":"` + strings.Repeat("x", 1000) + `","b":[1,2,{"c":null}]}`)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		jsonscan.SkimMembers(text, levels, func(_, _ []byte) bool { return true })
	}
}

func BenchmarkUnquote(b *testing.B) {
	value := []byte(`"0a1b2c3d-0000-4000-8000-000000000001"`)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := jsonscan.Unquote(value); !ok {
			b.Fatal("not a string")
		}
	}
}
