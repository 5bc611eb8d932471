package contract_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// TestOperatorAPI_hasNoServerError sends what schemathesis makes of api/operator.openapi.json to a running node. No
// answer may be 5xx.
func TestOperatorAPI_hasNoServerError(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(root, "build/contract/bin/schemathesis")
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("schemathesis is missing: make deps (%v)", err)
	}
	var programs rtetest.Programs
	t.Cleanup(programs.Remove)
	srv := rtetest.MustStartServer(t, programs.MustBuild(t), rtetest.Settings{"log.level": "error"})
	document := filepath.Join(root, "api/operator.openapi.json")
	args := []string{"run", document, "--url", srv.ConsoleURL}
	for _, path := range untested {
		args = append(args, "--exclude-path", path)
	}
	cmd := exec.CommandContext(t.Context(), program, append(args,
		"--checks", "not_a_server_error", "--phases", "coverage,fuzzing", "--max-examples", "5", "--max-time", "20",
		"--seed", "1", "--no-color")...)
	cmd.Dir = t.TempDir() // it writes its examples there
	out, err := cmd.CombinedOutput()
	want := fmt.Sprintf("Tested: %d", mustCountTested(t, document))
	if err != nil || !strings.Contains(string(out), want) {
		t.Errorf("schemathesis: %v, want %q\n%s", err, want, out)
	}
}

// untested are paths that the test leaves out. A tap has no end, and a profile has a late one. A node that drains
// answers 503 to /readyz.
var untested = []string{"/readyz", "/api/tap", "/debug/pprof/profile", "/debug/pprof/trace"}

// mustCountTested returns the number of operations in the document that are tested.
func mustCountTested(t *testing.T, document string) (count int) {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	var api struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(text, &api); err != nil {
		t.Fatal(err)
	}
	for path, methods := range api.Paths {
		if !slices.Contains(untested, path) {
			count += len(methods)
		}
	}
	return count
}
