package diagrams

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/rtetest"
)

const (
	repository = "../.."
	folder     = "docs/images/diagrams"
)

// read returns the texts of files by their names.
func read(t *testing.T, pattern string) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(path)] = string(text)
	}
	return all
}

// TestDiagrams_areCurrent makes the pictures again and compares them byte by byte.
func TestDiagrams_areCurrent(t *testing.T) {
	sources := filepath.Join(repository, folder)
	dir := t.TempDir()
	node := rtetest.MustLookPath(t, "node", "apt-get install nodejs")
	if out, err := exec.CommandContext(t.Context(), node, "render.mjs", sources, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %.2000s\nIf a module is missing: make deps", err, out)
	}
	want := read(t, filepath.Join(dir, "*.svg"))
	if len(want) == 0 {
		t.Fatal("there are no diagrams")
	}
	if diff := cmp.Diff(want, read(t, filepath.Join(sources, "*.svg"))); diff != "" {
		t.Errorf("make diagrams, and commit what it makes (-current +committed):\n%.4000s", diff)
	}
	for name, text := range want {
		for _, part := range []string{"<title>", "prefers-color-scheme: dark"} {
			if !strings.Contains(text, part) {
				t.Errorf("%s lacks %s", name, part)
			}
		}
	}
}

// TestDiagrams_areShown checks that a page shows each picture.
func TestDiagrams_areShown(t *testing.T) {
	var pages strings.Builder
	for _, pattern := range []string{"README.md", "docs/*.md"} {
		for _, text := range read(t, filepath.Join(repository, pattern)) {
			pages.WriteString(text)
		}
	}
	for name := range read(t, filepath.Join(repository, folder, "*.svg")) {
		if !strings.Contains(pages.String(), "images/diagrams/"+name+")") {
			t.Errorf("no page shows %s", name)
		}
	}
}
