package contract_test

import (
	"os/exec"
	"testing"
)

// TestTypings_CompileStrictly compiles a client that narrows on eventType, with --strict. Lines of it that must not
// compile are marked, and unmarked or wrongly marked ones fail.
func TestTypings_CompileStrictly(t *testing.T) {
	requireModules(t)
	output, err := exec.CommandContext(t.Context(), "node_modules/.bin/tsc", "--project", "tsconfig.json").CombinedOutput()
	if err != nil {
		t.Errorf("tsc: %v\n%s", err, output)
	}
}
