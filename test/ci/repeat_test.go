// Package ci tests the scripts that run the tests.
package ci

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// module has two packages. The tests of one fail as MODE says, each time or once.
var module = map[string]string{
	"go.mod": "module repeated\n\ngo 1.24\n",
	"good/good_test.go": `package good

import "testing"

func TestGood(*testing.T) {}
`,
	"bad/bad_test.go": `package bad

import (
	"os"
	"testing"
)

func once() bool {
	_, err := os.Stat("../once")
	return os.WriteFile("../once", nil, 0o600) == nil && err != nil
}

func TestMain(m *testing.M) {
	if os.Getenv("MODE") == "crash once" && once() {
		os.Exit(2)
	}
	os.Exit(m.Run())
}

func TestOnce(t *testing.T) {
	t.Run("part", func(t *testing.T) {
		if os.Getenv("MODE") == "fail once" && once() {
			t.Error("the first time")
		}
	})
}

func TestAlways(t *testing.T) {
	switch os.Getenv("MODE") {
	case "fail":
		t.Error("each time")
	case "panic once":
		if once() {
			panic("the first time")
		}
	case "race once":
		if once() {
			println("WARNING: DATA RACE")
			t.Error("a race")
		}
	}
}
`,
}

// CI repeats a failed test once. Nothing else may turn a failure into a success.
func TestGoTest_repeatsFailedTests(t *testing.T) {
	script, err := filepath.Abs("../../scripts/go-test.sh")
	if err != nil {
		t.Fatal(err)
	}
	for mode, test := range map[string]struct {
		passes          bool
		reported, shown string
	}{
		"":           {passes: true},
		"fail once":  {passes: true, reported: "repeated/bad ^(TestOnce)$", shown: "== What failed"},
		"crash once": {passes: true, reported: "repeated/bad (all tests)"},
		"fail":       {shown: "== Repeating repeated/bad ^(TestAlways)$"},
		"panic once": {},
		"race once":  {},
	} {
		t.Run(mode, func(t *testing.T) {
			dir, out, passed := run(t, script, mode, "1")
			report, _ := os.ReadFile(filepath.Join(dir, "build/reports/repeated.txt"))
			if passed != test.passes || !strings.Contains(out, test.shown) ||
				(test.reported == "") != (len(report) == 0) || !strings.Contains(string(report), test.reported) {
				t.Errorf("passed: %t, reported %q\n%s", passed, report, out)
			}
		})
	}
	t.Run("by hand", func(t *testing.T) {
		if _, out, passed := run(t, script, "fail once", ""); passed || !strings.Contains(out, "--- FAIL: TestOnce/part") {
			t.Errorf("passed: %t\n%s", passed, out)
		}
	})
}

// run runs the script in a new copy of the module.
func run(t *testing.T, script, mode, repeats string) (dir, out string, passed bool) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range module {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := exec.CommandContext(t.Context(), "git", "init", "-q", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, text)
	}
	cmd := exec.CommandContext(t.Context(), script, "-count=1", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "MODE="+mode, "REPEAT_FAILED_TESTS="+repeats)
	text, err := cmd.CombinedOutput()
	return dir, string(text), err == nil
}
