package console_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/rtetest"
)

const (
	sources = "../../web/console"
	bundle  = "../../internal/console/web"
)

// TestConsole_isCheckedIn checks the types of the sources, builds them, and compares the result with the files that the
// program embeds. The build also fails if the files are too large.
func TestConsole_isCheckedIn(t *testing.T) {
	if _, err := os.Stat(filepath.Join(sources, "node_modules/.package-lock.json")); err != nil {
		t.Fatal("the npm modules of web/console are missing: make deps")
	}
	read := map[string]bool{} // so that the cached result depends on the sources
	for _, root := range []string{sources, "../../api"} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == "generated") {
				return fs.SkipDir
			}
			if err == nil && !entry.IsDir() {
				_, err = os.ReadFile(path)
				read[path] = true
			}
			return err
		})
		if err != nil || len(read) == 0 {
			t.Fatalf("%d files of %s, %v", len(read), root, err)
		}
	}
	built := t.TempDir()
	cmd := exec.CommandContext(t.Context(), rtetest.MustLookPath(t, "node", "apt-get install nodejs"),
		filepath.Join(sources, "build.mjs"), built)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	rtetest.Report(t, t.Name(), "console: "+strings.TrimSpace(string(out)))
	want, got := mustReadFolder(t, built), mustReadFolder(t, bundle)
	for name := range want {
		if !bytes.Equal(want[name], got[name]) {
			t.Errorf("internal/console/web/%s is old: run make console", name)
		}
	}
	for name := range got {
		if want[name] == nil {
			t.Errorf("internal/console/web/%s: nothing makes it", name)
		}
	}
}

// mustReadFolder reads the files of a folder.
func mustReadFolder(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, entry := range entries {
		if files[entry.Name()], err = os.ReadFile(filepath.Join(dir, entry.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return files
}
