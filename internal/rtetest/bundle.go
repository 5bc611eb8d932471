package rtetest

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// CheckBundle builds the page in a folder of sources and compares the result with the embedded files of the program.
// The build.mjs of the folder checks types and sizes. also lists more folders of sources. It returns the output of the
// build.
func CheckBundle(t *testing.T, sources, bundle string, also ...string) string {
	t.Helper()
	if _, err := os.Stat(filepath.Join(sources, "node_modules/.package-lock.json")); err != nil {
		t.Fatalf("the npm modules of %s are missing: make deps", sources)
	}
	for _, root := range append(also, sources) {
		mustReadAll(t, root) // so that the cached result of the test depends on the sources
	}
	built := t.TempDir()
	cmd := exec.CommandContext(t.Context(), MustLookPath(t, "node", "apt-get install nodejs"),
		filepath.Join(sources, "build.mjs"), built)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	want, got := mustReadAll(t, built), mustReadAll(t, bundle)
	for name := range want {
		if !bytes.Equal(want[name], got[name]) {
			t.Errorf("%s/%s is old: build it again from %s", bundle, name, sources)
		}
	}
	for name := range got {
		if want[name] == nil {
			t.Errorf("%s/%s: nothing makes it", bundle, name)
		}
	}
	return strings.TrimSpace(string(out))
}

// mustReadAll reads the files of a folder, without npm modules.
func mustReadAll(t *testing.T, root string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == "node_modules":
			return fs.SkipDir
		case entry.IsDir():
			return nil
		}
		name, err := filepath.Rel(root, path)
		if err == nil {
			files[name], err = os.ReadFile(path)
		}
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files of %s, %v", len(files), root, err)
	}
	return files
}
