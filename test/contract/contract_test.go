package contract_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const (
	schemaDir    = "../../api/schemas"
	asyncAPIFile = "../../api/asyncapi.yaml"
	samplesDir   = "../../testdata/events"
)

// node runs a script of this folder with the inputs as lines of JSON and returns the lines that it prints. It fails the
// test if Node or a package is missing.
func node(t *testing.T, inputs []any, script ...string) [][]byte {
	t.Helper()
	requireModules(t)
	var stdin bytes.Buffer
	encoder := json.NewEncoder(&stdin)
	encoder.SetEscapeHTML(false)
	for _, input := range inputs {
		if err := encoder.Encode(input); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.CommandContext(t.Context(), "node", script...)
	command.Stdin = &stdin
	output, err := command.Output()
	if err != nil {
		t.Fatalf("node %v: %v\n%s", script, err, stderrOf(err))
	}
	return bytes.Split(bytes.TrimSuffix(output, []byte("\n")), []byte("\n"))
}

// requireModules fails the test if the JavaScript packages are not installed, and names the command that installs them.
//
// It also opens the files that the programs will read: go test repeats a test if its files changed, and notices only
// files that the test itself opened.
func requireModules(t *testing.T) {
	t.Helper()
	for _, pattern := range []string{"node/*", "*.json", "../../api/*.*", schemaDir + "/*"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %v, %v", pattern, names, err)
		}
		for _, name := range names {
			if _, err := os.ReadFile(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := exec.LookPath("node"); err != nil {
		t.Fatal("node is missing: apt-get install nodejs npm")
	}
	if _, err := os.Stat("node_modules/.package-lock.json"); err != nil {
		t.Fatal("the JavaScript packages of this test are missing: npm ci --prefix test/contract")
	}
}

func stderrOf(err error) []byte {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.Stderr
	}
	return nil
}
