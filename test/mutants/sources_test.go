package mutants

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/test/mutants/choice"
)

const (
	// root is the root of the module, from this folder.
	root = "../.."
	// choices is the package that changed sources import.
	choices = "github.com/rte-server/rte-server/test/mutants/choice"
)

// listed is a package in the output of "go list".
type listed struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
	DepOnly                 bool
}

// list returns packages, and those that they import with the file of their types.
func list(t *testing.T, patterns []string) (packages []listed) {
	t.Helper()
	cmd := exec.Command("go", append([]string{
		"list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,DepOnly",
	}, patterns...)...)
	cmd.Dir, cmd.Stderr = root, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

// change puts all mutants into the sources of packages. It returns the mutants, and the option that makes the Go
// command use the changed sources, which lie in folder.
func change(t *testing.T, folder string, patterns ...string) (all []mutant, option string) {
	t.Helper()
	top, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	packages := list(t, patterns)
	exports := map[string]string{}
	for _, p := range packages {
		exports[p.ImportPath] = p.Export
	}
	r := rewriter{files: token.NewFileSet()}
	importing := importer.ForCompiler(r.files, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})
	replaced := map[string]string{}
	for _, p := range packages {
		if p.DepOnly {
			continue
		}
		names, sources, trees := r.parse(t, &p)
		r.info = &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
		if _, err := (&types.Config{Importer: importing}).Check(p.ImportPath, r.files, trees, r.info); err != nil {
			t.Fatal(err)
		}
		for i, tree := range trees {
			name, err := filepath.Rel(top, names[i])
			if err != nil {
				t.Fatal(err)
			}
			if ast.IsGenerated(tree) {
				continue
			}
			if changed := r.rewrite(tree, name, sources[i]); changed != nil {
				replaced[names[i]] = filepath.Join(folder, strconv.Itoa(len(replaced))+".go")
				write(t, replaced[names[i]], changed)
			}
		}
	}
	if len(r.mutants) >= choice.Limit {
		t.Fatalf("%d mutants, more than choice.Limit", len(r.mutants))
	}
	text, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(folder, "overlay.json")
	write(t, overlay, text)
	return r.mutants, "-overlay=" + overlay
}

// parse returns the names, texts and trees of the sources of a package.
func (r *rewriter) parse(t *testing.T, p *listed) (names []string, sources [][]byte, trees []*ast.File) {
	t.Helper()
	for _, file := range p.GoFiles {
		name := filepath.Join(p.Dir, file)
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		tree, err := parser.ParseFile(r.files, name, source, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		names, sources, trees = append(names, name), append(sources, source), append(trees, tree)
	}
	return names, sources, trees
}

func write(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
