package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/events"
)

const root = "../../.."

// TestFiles_equalTheRepository fails when the catalog or the generator was changed without running it, and when a
// generated file was changed by hand.
func TestFiles_equalTheRepository(t *testing.T) {
	made, err := files(events.Builtin())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range made {
		got, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Errorf("run go generate ./internal/events: %v", err)
			continue
		}
		if !bytes.Equal(got, want) {
			t.Errorf("run go generate ./internal/events: %s differs:\n%.2000s", name, cmp.Diff(string(got), string(want)))
		}
	}

	for _, dir := range []string{schemaDir, csharpDir} {
		kept, err := os.ReadDir(filepath.Join(root, dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range kept {
			if name := filepath.Join(dir, entry.Name()); made[name] == nil {
				t.Errorf("%s belongs to no event: remove it", name)
			}
		}
	}
}

// TestFiles_areDeterministic guards against an order that comes out of a map.
func TestFiles_areDeterministic(t *testing.T) {
	first, err := files(events.Builtin())
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		again, err := files(events.Builtin())
		if err != nil {
			t.Fatal(err)
		}
		for name := range first {
			if !bytes.Equal(first[name], again[name]) {
				t.Errorf("%s differs from one time to the next", name)
			}
		}
	}
}

// TestFiles_ofACustomersCatalog exercises the types that the builtin events do not have.
func TestFiles_ofACustomersCatalog(t *testing.T) {
	c, err := events.LoadCatalog([]byte(`
enums:
  - {name: Size, type: string, closed: true, description: How large., values: [{name: S, description: Small.}]}
events:
  - name: ParcelSent
    kind: Queue
    ttlSeconds: -1
    description: A parcel was sent.
    properties:
      - {name: Size, type: Size, description: The size.}
      - {name: Weight, type: "double?", description: The weight.}
      - {name: Address, type: object, description: Where to.}
`))
	if err != nil {
		t.Fatal(err)
	}
	made, err := files(c)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		"api/rte-events.d.ts": {
			"  size: Size | null;", "  weight?: number | null;", "  address: Record<string, unknown> | null;",
			`export type Size = "S";`,
		},
		filepath.Join(schemaDir, "ParcelSent.schema.json"): {`"const": null`, `"number",`, `"object",`},
		"docs/events.md":               {"## ParcelSent", "| Weight | `double?` | both | The weight. |"},
		"internal/events/types_gen.go": {"\tParcelSent\n", `SizeS = "S" // small`},
		pythonFile: {
			"    size: Size | None\n", "    weight: NotRequired[float | None]\n", "    address: dict[str, Any] | None\n",
			`Size: TypeAlias = Literal["S"]`, `def on(self, name: Literal["ParcelSent"], `,
		},
		javaFile: {
			"public String size;", "public Double weight;", "public JsonElement address;", `String S = "S";`,
		},
		csharpDir + "/ParcelSent.cs": {"public Size? Size ", "public double? Weight ", "public JsonElement? Address "},
	} {
		for _, text := range want {
			if !bytes.Contains(made[name], []byte(text)) {
				t.Errorf("%s does not have %q", name, text)
			}
		}
	}
}

// The published forms of times and numbers broke .NET clients: only a comment of the typings said that a time without a
// zone is UTC, schemas had no format for numbers above 2^31, and a type was a list of types.
func TestFiles_stateTheFormsOfTimesAndNumbers(t *testing.T) {
	c := events.Builtin()
	made, err := files(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"docs/events.md", "api/rte-events.d.ts", "api/asyncapi.yaml"} {
		if !bytes.Contains(made[name], []byte("ithout a zone it is UTC")) {
			t.Errorf("%s does not state the zone of times", name)
		}
	}
	if !bytes.Contains(made["docs/events.md"], []byte("`9999-12-31T23:59:59.9999999`")) {
		t.Error("docs/events.md does not state the time of an open end")
	}
	for d := range definitions(c) {
		text := made[filepath.Join(schemaDir, d.Name+".schema.json")]
		var schema struct {
			Properties map[string]struct {
				Type, Format, Description string
				OneOf                     []struct{ Type, Const any }
			}
		}
		// A list in the place of Type fails here: generators of code make an object of it.
		if err := json.Unmarshal(withoutNull(text), &schema); err != nil {
			t.Errorf("%s: %v", d.Name, err)
			continue
		}
		for _, p := range slices.Concat(c.Envelope(), d.Properties) {
			got := schema.Properties[p.Name]
			switch p.Type {
			case events.TypeDateTime:
				if !strings.Contains(got.Description, "Without a zone it is UTC.") {
					t.Errorf("%s.%s: %s", d.Name, p.Name, got.Description)
				}
			case events.TypeLong:
				if got.Format != "int64" {
					t.Errorf("%s.%s has the format %q, want int64", d.Name, p.Name, got.Format)
				}
			case events.TypeInt:
				if got.Format != "int32" && got.OneOf == nil {
					t.Errorf("%s.%s has the format %q, want int32", d.Name, p.Name, got.Format)
				}
			case events.TypeEnum:
				if len(got.OneOf) != 2 || got.Type != "" {
					t.Errorf("%s.%s: %+v, want one of two types", d.Name, p.Name, got)
				}
			}
		}
	}
}

// withoutNull replaces the lists of a type and null with the type.
func withoutNull(schema []byte) []byte {
	return regexp.MustCompile(`\[\s*("\w+"),\s*"null"\s*\]`).ReplaceAll(schema, []byte("$1"))
}

// TestMarkdown_explainsEveryReason guards against a reason that operators cannot look up.
func TestMarkdown_explainsEveryReason(t *testing.T) {
	text := markdown(events.Builtin())
	for _, why := range events.Reasons() {
		if !bytes.Contains(text, []byte("| "+why.String()+" | ")) {
			t.Errorf("%s is not explained", why)
		}
	}
}

// TestMarkdown_exampleLoads has the server read the example of a customer's catalog.
func TestMarkdown_exampleLoads(t *testing.T) {
	_, rest, _ := bytes.Cut(markdown(events.Builtin()), []byte("```yaml\n"))
	example, _, ok := bytes.Cut(rest, []byte("```"))
	if !ok {
		t.Fatal("there is no example")
	}
	c, err := events.LoadCatalog(example)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := c.Lookup("ParcelChanged"); !ok {
		t.Error("the event is not known")
	}
}
