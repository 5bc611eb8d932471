package events_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/events/facts"
)

// TestPublished_eventsAgree compares the catalog with the facts of the published page in both directions.
func TestPublished_eventsAgree(t *testing.T) {
	type event struct {
		Name, Kind string
		TTLSeconds int
	}
	var got, want []event
	c := events.Builtin()
	for _, name := range c.Names() {
		number, _ := c.Lookup(name)
		d := c.Definition(number)
		got = append(got, event{d.Name, d.Kind.String(), d.TTLSeconds})
		if d.State() != (d.TTLSeconds >= 0) {
			t.Errorf("%s: state is %v with a lifetime of %d s", d.Name, d.State(), d.TTLSeconds)
		}
	}
	for _, ev := range published(t) {
		want = append(want, event{ev.Name, ev.Kind, ev.TTLSeconds})
	}
	if len(want) != 31 {
		t.Errorf("%d events are published, want 31", len(want))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestPublished_propertiesAgree compares every property: its name, its type, and where the page has it.
func TestPublished_propertiesAgree(t *testing.T) {
	type property struct {
		Type          string
		Sample, Table bool
	}
	c := events.Builtin()
	for _, ev := range published(t) {
		t.Run(ev.Name, func(t *testing.T) {
			want := map[string]property{}
			for _, name := range ev.Sample {
				want[name] = property{Sample: true}
			}
			for _, p := range ev.Table {
				if p.Type == "String" { // the page spells this type in two ways
					p.Type = "string"
				}
				want[p.Name] = property{Type: p.Type, Sample: want[p.Name].Sample, Table: true}
			}

			got := map[string]property{}
			number, _ := c.Lookup(ev.Name)
			for _, p := range slices.Concat(c.Envelope(), c.Definition(number).Properties) {
				if _, twice := got[p.Name]; twice {
					t.Errorf("%s occurs twice", p.Name)
				}
				published := property{Type: p.Published, Sample: p.Place != events.InTable, Table: p.Place != events.InSample}
				if !published.Table {
					published.Type = "" // samples have values, not types
				}
				got[p.Name] = published
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestPublished_placesEqualTheContract checks the properties that are easily forgotten.
func TestPublished_placesEqualTheContract(t *testing.T) {
	c := events.Builtin()
	if len(c.Envelope()) != 8 {
		t.Errorf("got %d properties in the envelope, want 8", len(c.Envelope()))
	}
	tableOnly := map[string]int{}
	for _, name := range c.Names() {
		number, _ := c.Lookup(name)
		for _, p := range c.Definition(number).Properties {
			if p.Description == "" {
				t.Errorf("%s.%s is not described", name, p.Name)
			}
			if p.Place == events.InTable {
				tableOnly[p.Name]++
			}
		}
	}
	if diff := cmp.Diff(map[string]int{"Publicity": 13, "OverflowReason": 2, "OverflowType": 2}, tableOnly); diff != "" {
		t.Error(diff)
	}
}

// TestPublished_factsEqualThePage extracts the facts again if the page is available.
func TestPublished_factsEqualThePage(t *testing.T) {
	page := os.Getenv("RTE_API_PAGE")
	if page == "" {
		t.Log("RTE_API_PAGE does not name the text of the published page: " +
			"comparing the catalog with the extracted facts only")
		return
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	found, err := facts.Extract(string(text))
	if err != nil {
		t.Fatal(err)
	}
	catalog, err := facts.Marshal(found)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]byte{"catalog.json": catalog}
	for _, ev := range found {
		want[ev.Name+".json"] = ev.Payload
	}
	got := map[string][]byte{}
	names, err := os.ReadDir(samplesDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range names {
		if got[entry.Name()], err = os.ReadFile(filepath.Join(samplesDir, entry.Name())); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s differs from the page:\n%s", samplesDir, diff)
	}
}
