package guards

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	// runTime bounds one run of tests with a change: one that makes a test wait for ever must not hold up the others.
	runTime = 10 * time.Minute
	page    = "docs/guards.md"
	begin   = "<!-- made by make guards: begin -->\n"
	end     = "<!-- made by make guards: end -->\n"
	// printed bounds the output of a run in the log.
	printed = 4 << 10
)

// TestChanges_areNoticed runs the tests of each change and demands that one fails. RTE_GUARDS=all runs it for all
// changes; another value runs those whose text contains it. RTE_GUARDS_DOC is the page that gets the results.
func TestChanges_areNoticed(t *testing.T) {
	wanted := os.Getenv("RTE_GUARDS")
	if wanted == "" {
		t.Log("`make guards` removes the guards")
		return
	}
	for _, c := range changes() {
		if wanted != "all" && !strings.Contains(c.what+" "+c.file, wanted) {
			continue
		}
		t.Run(c.what, func(t *testing.T) {
			by := c.noticed(t)
			if by == "" {
				t.Error("no test notices it")
				by = unnoticed
			}
			if name := os.Getenv("RTE_GUARDS_DOC"); name != "" {
				writePage(t, name, c.what, by)
			}
		})
	}
}

// noticed returns the test that notices the change, empty if none does. A test that also fails without the change does
// not count: the machine may be busy.
func (c *change) noticed(t *testing.T) (by string) {
	t.Helper()
	option, err := c.overlay(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for _, run := range c.tests {
		failed, output := run.start(t, option)
		if failed == "" {
			t.Logf("not noticed by %+v:\n%s", run, output)
			continue
		}
		run.names = "^" + failed + "$"
		if also, output := run.start(t, ""); also != "" {
			t.Logf("%s fails without the change as well:\n%s", failed, output)
			continue
		}
		t.Logf("noticed by %s after %s", failed, time.Since(began).Round(time.Second))
		return "`" + failed + "`"
	}
	return ""
}

// start runs the tests with an option of the Go command, which also counts for the programs that they build. It returns
// the test that failed, empty if none did, and the end of the output.
func (run *tests) start(t *testing.T, option string) (failed, output string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "make", run.make)
	if run.make == "" {
		cmd = exec.CommandContext(ctx, "go", "test", "-json", "-vet=off", "-count=1", "-failfast",
			"-timeout", (runTime - time.Minute).String(), "-tags", run.tags, "-run", run.names, "./"+run.in)
	}
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" "+option, "RTE_GUARDS=")
	out, err := cmd.CombinedOutput()
	output = string(out[max(0, len(out)-printed):])
	switch {
	case err == nil:
		return "", output
	case run.make != "":
		return "make " + run.make, output
	}
	failed, compiled := firstFailure(out)
	if !compiled {
		t.Fatalf("the tests do not compile:\n%s", output)
	}
	if failed == "" {
		t.Fatalf("%v, and no test failed:\n%s", err, output)
	}
	return failed, output
}

// firstFailure returns the first test that failed in the output of "go test -json". compiled is false if the tests did
// not begin.
func firstFailure(output []byte) (failed string, compiled bool) {
	compiled = true
	for line := range bytes.Lines(output) {
		var event struct{ Action, Test string }
		if json.Unmarshal(line, &event) != nil {
			continue
		}
		switch {
		case event.Action == "build-fail":
			return "", false
		case event.Action == "fail" && event.Test != "" && failed == "":
			failed, _, _ = strings.Cut(event.Test, "/")
		}
	}
	return failed, compiled
}

// unnoticed is the cell of a change that no test notices.
const unnoticed = "**no test**"

// rows returns the tables of the page, with the results by the change.
func rows(results map[string]string) string {
	var tables strings.Builder
	tables.WriteString("\n| guard | removed in | noticed by |\n|---|---|---|\n")
	for _, c := range guards() {
		fmt.Fprintf(&tables, "| %s | `%s` | %s |\n", c.what, c.file, results[c.what])
	}
	tables.WriteString("\n| bug | planted in | noticed by |\n|---|---|---|\n")
	writePlanted(&tables, planted(), results)
	tables.WriteString("\n## Bugs planted by a second person\n\n" +
		"A person who had not written the tests planned the first ten of these bugs before reading the tests. The tests\n" +
		"noticed four of them for certain. The other six bugs lie next to the holes; the tests noticed four of these. The\n" +
		"missing tests exist now: their names are in *italics*.\n" +
		"\n| bug | planted in | noticed by |\n|---|---|---|\n")
	writePlanted(&tables, plantedBySecond(), results)
	tables.WriteString("\n## Bugs planted by a third person\n\n" +
		"Another person fixed a list of ten bugs, and of substitutes, before reading the tests. Two of the ten were on\n" +
		"the lists above; substitutes took their places. The tests noticed none of the ten for certain. The race detector\n" +
		"noticed one, lanes that were parked once, in two runs of five. Most of these bugs show only the second time, or\n" +
		"when one of several things fails or ends: at the second stall, at the third try, at the end of another\n" +
		"revocation. The last four bugs of the table came later; no test of their packages noticed them. The missing\n" +
		"tests exist now.\n" +
		"\n| bug | planted in | noticed by |\n|---|---|---|\n")
	writePlanted(&tables, plantedByThird(), results)
	tables.WriteString("\n## Bugs planted by a fourth person\n\n" +
		"After the third list, random lives and models became tests, guided by mutants (below). Then another person\n" +
		"planted ten bugs, one in each stage on the way of an event, and had read no test. The tests of `internal`\n" +
		"noticed seven of them for certain. The tests of the other three exist now. The tenth bug is on the third list:\n" +
		"events behind a failed one count as published.\n" +
		"\n| bug | planted in | noticed by |\n|---|---|---|\n")
	writePlanted(&tables, plantedByFourth(), results)
	tables.WriteString("\n")
	return tables.String()
}

func writePlanted(tables *strings.Builder, bugs []change, results map[string]string) {
	for _, c := range bugs {
		by := results[c.what]
		if c.hole && by != unnoticed {
			by = "*" + strings.Trim(by, "*") + "*"
		}
		fmt.Fprintf(tables, "| %s | %s, `%s` | %s |\n", c.what, c.place, c.file, by)
	}
}

// readPage returns the parts of the page around its tables, and the results in them.
func readPage(t *testing.T, name string) (before, after string, results map[string]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	tables, after, alsoOK := strings.Cut(rest, end)
	if !ok || !alsoOK {
		t.Fatalf("%s has no place for the tables", name)
	}
	results = map[string]string{}
	for line := range strings.Lines(tables) {
		if cells := strings.Split(line, " | "); len(cells) == 3 {
			results[strings.TrimPrefix(cells[0], "| ")] = strings.TrimSuffix(cells[2], " |\n")
		}
	}
	return before + begin, end + after, results
}

// writePage writes a result into the page and keeps the others.
func writePage(t *testing.T, name, what, by string) {
	t.Helper()
	before, after, results := readPage(t, name)
	results[what] = by
	made := []byte(before + rows(results) + after)
	if err := os.WriteFile(filepath.Join(root, name), made, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestPage_hasAllChanges checks that the page has a row for each change, and that a test notices each of them.
func TestPage_hasAllChanges(t *testing.T) {
	t.Parallel()
	before, after, results := readPage(t, page)
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != before+rows(results)+after {
		t.Errorf("the tables in %s are old: make guards", page)
	}
	for _, c := range changes() {
		if by := results[c.what]; by == "" || by == unnoticed {
			t.Errorf("%s: no test notices: %s", page, c.what)
		}
	}
}
