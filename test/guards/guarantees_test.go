package guards

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// namedTest matches the folder of a package or the name of a test in the text of a page.
var namedTest = regexp.MustCompile("`((?:cmd|internal|test)/[a-z0-9/-]+|Test\\w*)`")

// TestGuarantees_nameTests checks that each row of docs/guarantees.md names tests, and that they exist.
func TestGuarantees_nameTests(t *testing.T) {
	t.Parallel()
	checkPage(t, "docs/guarantees.md", 25)
}

// TestThreats_nameTests checks that each threat of docs/threats.md names tests, and that they exist.
func TestThreats_nameTests(t *testing.T) {
	t.Parallel()
	checkPage(t, "docs/threats.md", 15)
}

// checkPage checks that each row with two cells of a page names tests, and that they exist.
func checkPage(t *testing.T, page string, least int) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(line, "|\n"), " | ")
		if !strings.HasPrefix(line, "| ") || len(cells) != 2 || strings.TrimSpace(cells[1]) == "refuted by" ||
			strings.TrimSpace(cells[1]) == "shown by" {
			continue
		}
		rows++
		folder, tested := "", 0
		for _, match := range namedTest.FindAllStringSubmatch(cells[1], -1) {
			if !strings.HasPrefix(match[1], "Test") {
				folder = match[1]
				continue
			}
			tested++
			if !hasTest(t, tests{in: folder, names: "^" + match[1] + "$"}) {
				t.Errorf("there is no %s in %s", match[1], folder)
			}
		}
		if tested == 0 {
			t.Errorf("no test: %s", line)
		}
	}
	if rows < least {
		t.Errorf("the page has %d rows", rows)
	}
}
