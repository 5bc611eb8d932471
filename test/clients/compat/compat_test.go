package main

import (
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// root is the root of the module.
var root = os.DirFS("../../..")

// TestRows checks that every row has tests, and that the tests of all rows exist.
func TestRows(t *testing.T) {
	names := map[string][]string{}
	for _, pkg := range []string{transport, hubprotocol, websocket, hub, clients, rfc6455, e2e} {
		var err error
		if names[pkg], err = testNames(root, pkg); err != nil {
			t.Fatal(err)
		}
	}
	rows := map[string]bool{}
	for _, s := range sections() {
		for _, r := range s.rows {
			rows[r.id] = true
			if len(r.allTests(names[transport])) == 0 {
				t.Errorf("row %s has no test", r.id)
			}
			for _, test := range r.tests {
				pkg, name := split(test)
				name, _, _ = strings.Cut(name, "/")
				if !slices.Contains(names[pkg], name) {
					t.Errorf("row %s: there is no %s in %s", r.id, name, pkg)
				}
			}
		}
	}
	for _, name := range names[transport] {
		id, _, _ := strings.Cut(strings.TrimPrefix(name, "Test"), "_")
		if len(id) > 1 && strings.Contains("NWD", id[:1]) && strings.Trim(id[1:], "0123456789") == "" && !rows[id] {
			t.Errorf("%s shows row %s, which the page does not have", name, id)
		}
	}
}

// TestPage checks that the page in the repository is up to date except for its results, and that all results are good.
func TestPage(t *testing.T) {
	data, err := fs.ReadFile(root, "docs/compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	checkedIn := string(data)
	all, err := allClients(root)
	if err != nil {
		t.Fatal(err)
	}
	cells := map[string][]string{} // of the rows of all tables
	for line := range strings.Lines(checkedIn) {
		if row, isRow := strings.CutPrefix(strings.TrimSpace(line), "| "); isRow {
			row := strings.Split(strings.TrimSuffix(row, " |"), " | ")
			cells[row[0]] = append(cells[row[0]], row[1:]...)
		}
	}
	want, err := page(root, func(row, title string) string {
		if i := slices.IndexFunc(all, func(c client) bool { return c.subtest == row }); i >= 0 {
			row = all[i].title
		}
		found := cells[row]
		if len(found) == 0 {
			t.Fatalf("row %s is missing: make compatibility", row)
		}
		if i := slices.IndexFunc(columns(), func(c column) bool { return c.title == title }); i >= 0 {
			return found[i]
		}
		return found[len(found)-1]
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(checkedIn, "\n")); diff != "" {
		t.Errorf("docs/compatibility.md is not up to date: make compatibility (-want +got):\n%s", diff)
	}
	for _, s := range sections() {
		for _, r := range s.rows {
			if result := cells[r.id][len(cells[r.id])-1]; !strings.HasSuffix(result, "passed") {
				t.Errorf("row %s: the page shows %q", r.id, result)
			}
		}
	}
}
