package helpers

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// blocks returns the code of a language in the README of a folder of clients/.
func blocks(t *testing.T, folder, language string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "clients", folder, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	block := regexp.MustCompile("(?s)\n```" + language + "\n(.*?\n)```\n")
	for _, found := range block.FindAllStringSubmatch(string(text), -1) {
		all = append(all, found[1])
	}
	return all
}

// TestReadme_compiles compiles every sample.
func TestReadme_compiles(t *testing.T) {
	t.Parallel()
	modules := filepath.Join(mustBuild(t), "node_modules")
	dir := t.TempDir()
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	args := []string{
		filepath.Join(modules, "typescript/bin/tsc"), "--strict", "--noEmit", "--module", "esnext", "--moduleResolution",
		"bundler", "--target", "es2022", "--lib", "es2022,dom", "--types", "", "--jsx", "react-jsx",
	}
	for language, extension := range map[string]string{"ts": "mts", "tsx": "tsx"} {
		for i, text := range blocks(t, "typescript", language) {
			name := language + string(rune('0'+i)) + "." + extension
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			args = append(args, name)
		}
	}
	if len(args) < 18 {
		t.Fatalf("the README has too few samples: %v", args)
	}
	mustRun(t, dir, "node", args...)
}

// TestReadme_sampleContinuesAfterARestart runs the first sample against a development server that restarts.
func TestReadme_sampleContinuesAfterARestart(t *testing.T) {
	t.Parallel()
	modules := filepath.Join(mustBuild(t), "node_modules")
	dir, listen := mustWriteSample(t, "typescript", "ts", "sample.mts")
	mustRun(t, dir, filepath.Join(modules, ".bin/esbuild"), "--log-level=error", "--outfile=sample.mjs", "sample.mts")
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "sample.mjs")
	cmd.Dir = dir
	continuesAfterARestart(t, listen, cmd)
}

// mustWriteSample writes the first sample of a README into a new folder, with a free address in place of the server's.
func mustWriteSample(t *testing.T, folder, language, name string) (dir, listen string) {
	t.Helper()
	dir, listen = t.TempDir(), rtetest.MustFreeAddr(t)
	sample := strings.ReplaceAll(blocks(t, folder, language)[0], "http://127.0.0.1:8080", "http://"+listen)
	if err := os.WriteFile(filepath.Join(dir, name), []byte(sample), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, listen
}

// continuesAfterARestart runs a sample against a development server that restarts.
func continuesAfterARestart(t *testing.T, listen string, cmd *exec.Cmd) {
	t.Helper()
	path := programs.MustBuild(t)
	start := func() *rtetest.Server {
		return rtetest.MustStartProgram(t, exec.Command(path, "dev", "--listen="+listen, "--console.listen=127.0.0.1:0"))
	}
	server := start()
	server.WaitFor("the URLs", func() bool { return strings.Contains(server.Log(), "wallboard") })
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hung := time.AfterFunc(4*rtetest.Patience, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		hung.Stop()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(stdout)
	// In any order: the last states come before or after the reload, depending on the simulator.
	await := func(texts ...string) {
		t.Helper()
		for len(texts) > 0 && lines.Scan() {
			line := strings.ToLower(lines.Text()) // Java has BEHIND
			texts = slices.DeleteFunc(texts, func(text string) bool { return strings.Contains(line, text) })
		}
		if len(texts) > 0 {
			t.Fatalf("the sample never printed %q", texts)
		}
	}
	await("wait", "right")
	server.Stop()
	await("behind connection lost")
	start()
	await("wait", "topics to reload", "right")
}
