package main

import (
	"bytes"
	"os"
	"path/filepath"
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
		csharpDir + "/ParcelSent.cs":   {"public Size? Size ", "public double? Weight ", "public JsonElement? Address "},
	} {
		for _, text := range want {
			if !bytes.Contains(made[name], []byte(text)) {
				t.Errorf("%s does not have %q", name, text)
			}
		}
	}
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
