package ci

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The race detector allocates, so some tests of allocations demand nothing while it is on. `make test` runs those with
// "lloc" in their names a second time without it. A ping took three allocations for some time, and the test that
// forbids them never said so.
func TestMake_runsTestsOfAllocationsWithoutRaceDetector(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(makefile), "scripts/go-test.sh -vet=off -run lloc -timeout 5m ./internal/...") {
		t.Error("make test does not run them")
	}
	found := 0
	err = filepath.WalkDir("../../internal", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		files := token.NewFileSet()
		tree, err := parser.ParseFile(files, name, text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, declaration := range tree.Decls {
			test, ok := declaration.(*ast.FuncDecl)
			if !ok || !strings.HasPrefix(test.Name.Name, "Test") {
				continue
			}
			body := string(text[files.Position(test.Pos()).Offset:files.Position(test.End()).Offset])
			if !strings.Contains(body, "AllocsPerRun") || !strings.Contains(strings.ToLower(body), "raceenabled") {
				continue
			}
			found++
			if !strings.Contains(test.Name.Name, "lloc") {
				t.Errorf("%s: %s has no lloc in its name", files.Position(test.Pos()), test.Name.Name)
			}
		}
		return nil
	})
	if err != nil || found == 0 {
		t.Errorf("%d tests demand nothing with the race detector, %v", found, err)
	}
}
