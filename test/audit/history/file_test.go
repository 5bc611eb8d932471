package history_test

import (
	"go/build"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/test/audit/history"
)

func TestKeep_canBeRead(t *testing.T) {
	s := newStory()
	s.lost(20, 5, 7)
	path := filepath.Join(t.TempDir(), "history.json.gz")
	if err := history.Keep(&s.History, path); err != nil {
		t.Fatal(err)
	}
	got, err := history.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&s.History, got); diff != "" {
		t.Error(diff)
	}
}

func TestRead_namesTheMistake(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.json.gz")
	for _, text := range []string{"", "x"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := history.Read(path); err == nil || !strings.Contains(err.Error(), "read a history") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A program that decides about the server must not believe the server's own code. The recorders may use the helpers
// that start programs and sign tokens, and the simulator, which makes events; what decides uses nothing.
func TestAudit_isIndependent(t *testing.T) {
	const ours = "github.com/rte-server/rte-server/"
	for folder, allowed := range map[string]string{
		".":        "",
		"../trend": "",
		"..": strings.Join([]string{
			ours + "internal/rtetest", ours + "internal/demo", ours + "internal/simulator",
			ours + "test/audit/history", ours + "test/audit/trend",
		}, " "),
	} {
		all := build.Default
		all.BuildTags = []string{"faults"}
		pkg, err := all.ImportDir(folder, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, imported := range append(pkg.Imports, pkg.TestImports...) {
			if strings.HasPrefix(imported, ours) && !strings.Contains(" "+allowed+" ", " "+imported+" ") {
				t.Errorf("%s imports %s", pkg.Dir, imported)
			}
		}
	}
}
