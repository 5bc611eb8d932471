package rtetest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TypeScriptClient builds clients/typescript once for all tests of a package. TestMain removes it. The zero value is
// ready, and the methods may be called from any goroutine.
type TypeScriptClient struct {
	once   sync.Once
	dir    string
	output string
	err    error
}

// MustBuild builds the package on its first call. It returns a folder whose node_modules has the package as
// @rte-server/client, beside everything that its lock file names. The cached result of the test then depends on the
// sources of the package and on the files and folders in alsoUsed.
func (c *TypeScriptClient) MustBuild(t testing.TB, alsoUsed ...string) string {
	t.Helper()
	c.once.Do(func() { c.err = c.build(alsoUsed) })
	if c.err != nil {
		t.Fatal(c.err)
	}
	return c.dir
}

// Output returns what the build printed. Call it after MustBuild.
func (c *TypeScriptClient) Output() string { return c.output }

func (c *TypeScriptClient) build(alsoUsed []string) error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	source := filepath.Join(root, "clients/typescript")
	if _, err := os.Stat(filepath.Join(source, "node_modules/.package-lock.json")); err != nil {
		return errors.New("the modules of clients/typescript are missing: make deps")
	}
	used := []string{"src", "build.mjs", "package.json", "package-lock.json", "tsconfig.json", "README.md"}
	for i, name := range used {
		used[i] = filepath.Join(source, name)
	}
	if err := touch(append(used, alsoUsed...)); err != nil {
		return err
	}
	if c.dir, err = os.MkdirTemp("", "rte-client-test-"); err != nil {
		return err
	}
	modules := filepath.Join(c.dir, "node_modules")
	client := filepath.Join(modules, "@rte-server/client")
	if err := os.MkdirAll(client, 0o700); err != nil {
		return err
	}
	installed, err := os.ReadDir(filepath.Join(source, "node_modules"))
	if err != nil {
		return err
	}
	for _, entry := range installed {
		if strings.HasPrefix(entry.Name(), ".package") {
			continue
		}
		if err := os.Symlink(filepath.Join(source, "node_modules", entry.Name()),
			filepath.Join(modules, entry.Name())); err != nil {
			return err
		}
	}
	cmd := exec.Command("node", filepath.Join(source, "build.mjs"), filepath.Join(client, "dist"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("build clients/typescript: %w\n%s", err, out)
	}
	c.output = strings.TrimSpace(string(out))
	for _, name := range []string{"package.json", "README.md"} {
		data, err := os.ReadFile(filepath.Join(source, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(client, name), data, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Remove removes the built package.
func (c *TypeScriptClient) Remove() {
	if c.dir != "" {
		_ = os.RemoveAll(c.dir) // the system removes temporary files later
	}
}
