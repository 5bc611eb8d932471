package contract_test

import (
	"os"
	"os/exec"
	"path/filepath"
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
	cmd := exec.CommandContext(t.Context(), program, "run", filepath.Join(root, "api/operator.openapi.json"),
		"--url", srv.ConsoleURL,
		// A tap and a profile have no end, or a late one. A node that drains answers 503 to /readyz.
		"--exclude-path", "/readyz", "--exclude-path", "/api/tap",
		"--exclude-path", "/debug/pprof/profile", "--exclude-path", "/debug/pprof/trace",
		"--checks", "not_a_server_error", "--phases", "coverage,fuzzing", "--max-examples", "5", "--max-time", "20",
		"--seed", "1", "--no-color")
	cmd.Dir = t.TempDir() // it writes its examples there
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Tested: 34") {
		t.Errorf("schemathesis: %v\n%s", err, out)
	}
}
