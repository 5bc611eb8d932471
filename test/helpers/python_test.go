package helpers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mustInstallPython packages clients/python as a wheel, installs it in a new folder, and returns the folder.
func mustInstallPython(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	// In a copy: the build must leave nothing in the source.
	source := filepath.Join(dir, "source")
	if err := os.CopyFS(source, os.DirFS(filepath.Join(repository, "clients/python"))); err != nil {
		t.Fatal(err)
	}
	python := mustBeInstalled(t, "build/helper/bin/python")
	pip := []string{"-m", "pip", "--disable-pip-version-check", "--no-input"}
	mustRun(t, dir, python, append(pip, "wheel", "--no-index", "--no-build-isolation", "--no-deps", "-w", dir, source)...)
	wheels, err := filepath.Glob(filepath.Join(dir, "rte_server_client-*-py3-none-any.whl"))
	if err != nil || len(wheels) != 1 {
		t.Fatalf("pip wheel made %v: %v", wheels, err)
	}
	installed := filepath.Join(dir, "installed")
	mustRun(t, dir, python, append(pip, "install", "--no-index", "--no-deps", "--target", installed, wheels[0])...)
	return installed
}

// TestPython_isTyped checks the package as installed, the sample of its README, and that a wrong name is an error.
func TestPython_isTyped(t *testing.T) {
	t.Parallel()
	installed := mustInstallPython(t)
	if _, err := os.Stat(filepath.Join(installed, "rte_server_client/py.typed")); err != nil {
		t.Fatal(err)
	}
	dir, _ := mustWriteSample(t, "python", "python", "sample.py")
	mypy := func(name string) (string, error) {
		cmd := exec.CommandContext(t.Context(), mustBeInstalled(t, "build/helper/bin/python"),
			"-m", "mypy", "--strict", "--cache-dir", filepath.Join(dir, "cache"), name)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "MYPYPATH="+installed)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := mypy("sample.py"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	wrong := `from rte_server_client import RteClient

def watch(client: RteClient) -> None:
    client.on("QueueStatus", lambda queue: print(queue["noSuchProperty"]))
    client.on("NoSuchEvent", print)
`
	if err := os.WriteFile(filepath.Join(dir, "wrong.py"), []byte(wrong), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := mypy("wrong.py")
	if err == nil || !strings.Contains(out, "wrong.py:4: error: ") || !strings.Contains(out, "wrong.py:5: error: ") {
		t.Errorf("mypy does not find both mistakes: %v: %s", err, out)
	}
}

// TestPython_sampleContinuesAfterARestart runs the sample of the README with the package as installed.
func TestPython_sampleContinuesAfterARestart(t *testing.T) {
	t.Parallel()
	dir, listen := mustWriteSample(t, "python", "python", "sample.py")
	cmd := exec.CommandContext(t.Context(), mustBeInstalled(t, "build/helper/bin/python"), "sample.py")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PYTHONPATH="+mustInstallPython(t))
	continuesAfterARestart(t, listen, cmd)
}
