package guards

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// TestChanges_fitTheSources checks that each text is in its file once, and that the changed package compiles. A change
// that no longer fits would remove nothing, and its row in docs/guards.md would be wrong.
func TestChanges_fitTheSources(t *testing.T) {
	t.Parallel()
	readAll(t)
	c := newCompiler(t)
	for _, change := range changes() {
		t.Run(change.what, func(t *testing.T) {
			text, err := change.source()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.check(change.file, text); err != nil {
				t.Error(err)
			}
		})
	}
}

// A check that accepts everything would not notice either.
func TestChanges_mustCompile(t *testing.T) {
	t.Parallel()
	readAll(t)
	const file = "internal/backplane/sequence/lane.go"
	original, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	c := newCompiler(t)
	if err := c.check(file, append(original, "\nvar unknown = missing\n"...)); err == nil {
		t.Error("a file with an undefined name compiles")
	}
	wrong := change{file: file, text: "package ", instead: "package "}
	if _, err := wrong.source(); err != nil {
		t.Error(err)
	}
	for _, text := range []string{"not in the file", "\n"} {
		wrong.text = text
		if _, err := wrong.source(); err == nil {
			t.Errorf("the text %q fits", text)
		}
	}
}

// TestChanges_nameTests checks that the lists are long enough, that each change is there once, and that its tests
// exist.
func TestChanges_nameTests(t *testing.T) {
	t.Parallel()
	if n := len(guards()); n < 25 {
		t.Errorf("the list has %d guards", n)
	}
	places := map[string]bool{}
	seen := map[string]bool{}
	for _, c := range changes() {
		if seen[c.what] {
			t.Errorf("two changes: %s", c.what)
		}
		seen[c.what] = true
		if places[c.place] && c.place != "" {
			t.Errorf("two bugs are planted in %s", c.place)
		}
		places[c.place] = true
		if len(c.tests) == 0 {
			t.Errorf("%s: no test", c.what)
		}
		for _, run := range c.tests {
			if run.make == "" && !hasTest(t, run) {
				t.Errorf("%s: no test in %s matches %q", c.what, run.in, run.names)
			}
		}
	}
	delete(places, "")
	if len(places) < 10 {
		t.Errorf("bugs are planted in %d places", len(places))
	}
}

// testName matches the declaration of a test.
var testName = regexp.MustCompile(`(?m)^func (Test\w+)\(`)

// hasTest reports whether one of the tests exists.
func hasTest(t *testing.T, run tests) bool {
	t.Helper()
	wanted := regexp.MustCompile(run.names)
	files, err := filepath.Glob(filepath.Join(root, run.in, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(name string) bool {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(testName.FindAllSubmatch(text, -1), func(m [][]byte) bool { return wanted.Match(m[1]) })
	})
}

// readAll reads all sources, so that a change of any of them makes the result of the tests invalid. The Go command
// does not see what the commands read that a test runs.
func readAll(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(root, "internal"), func(path string, entry fs.DirEntry, err error) error {
		extension := filepath.Ext(path)
		if err != nil || extension != ".go" && extension != ".lua" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		_, err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// compiler checks the types of packages. It takes all packages that they import from the build cache.
type compiler struct {
	files   *token.FileSet
	sources map[string][]string // by folder, from the root of the repository
	imports types.Importer
}

// newCompiler lists the packages of the module and what they import.
func newCompiler(t *testing.T) *compiler {
	t.Helper()
	var folders []string
	for _, c := range changes() {
		folders = append(folders, "./"+filepath.Dir(c.file))
	}
	slices.Sort(folders)
	args := []string{"list", "-deps", "-export", "-json=ImportPath,Dir,GoFiles,Export"}
	if rtetest.RaceEnabled {
		args = append(args, "-race") // the build cache has these packages already
	}
	cmd := exec.Command("go", append(args, slices.Compact(folders)...)...)
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		if failed, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("go list: %s", failed.Stderr)
		}
		t.Fatal(err)
	}
	module, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	exports, sources := map[string]string{}, map[string][]string{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath, Dir, Export string
			GoFiles                 []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		exports[p.ImportPath] = p.Export
		if folder, err := filepath.Rel(module, p.Dir); err == nil {
			sources[folder] = p.GoFiles
		}
	}
	files := token.NewFileSet()
	return &compiler{files, sources, importer.ForCompiler(files, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})}
}

// check returns the first error of a package in which one file has another text.
func (c *compiler) check(file string, text []byte) error {
	folder := filepath.Dir(file)
	var parsed []*ast.File
	for _, name := range c.sources[folder] {
		var source any
		if name == filepath.Base(file) {
			source = text
		}
		f, err := parser.ParseFile(c.files, filepath.Join(root, folder, name), source, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		parsed = append(parsed, f)
	}
	_, err := (&types.Config{Importer: c.imports}).Check(folder, c.files, parsed, nil)
	return err
}
