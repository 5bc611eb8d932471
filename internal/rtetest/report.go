package rtetest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Report writes what a test has counted into build/reports, from which "make test" prints it at its end: go test hides
// the logs of tests that pass.
func Report(t testing.TB, name string, lines ...string) {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "build", "reports")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	text := name + "\n  " + strings.Join(lines, "\n  ") + "\n"
	if err := os.WriteFile(filepath.Join(dir, name+".txt"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
