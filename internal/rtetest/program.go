package rtetest

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Programs builds the program once for all tests of a package. TestMain removes it. The zero value is ready, and the
// methods may be called from any goroutine.
type Programs struct {
	once sync.Once
	dir  string
	path string
	err  error
}

// MustBuild builds the program on its first call, with the race detector if the tests have it, and returns its path.
// The cached result of the test then depends on the sources of the program and on the files and folders in alsoUsed.
func (p *Programs) MustBuild(t testing.TB, alsoUsed ...string) string {
	t.Helper()
	p.once.Do(func() { p.path, p.err = p.build(alsoUsed) })
	if p.err != nil {
		t.Fatal(p.err)
	}
	return p.path
}

func (p *Programs) build(alsoUsed []string) (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	var sources []string
	for _, source := range []string{"api", "cmd", "internal", "go.mod"} {
		sources = append(sources, filepath.Join(root, source))
	}
	if err := touch(append(sources, alsoUsed...)); err != nil {
		return "", err
	}
	if p.dir, err = os.MkdirTemp("", "rte-server-test-"); err != nil {
		return "", err
	}
	path := filepath.Join(p.dir, "rte-server")
	args := slices.Concat([]string{"build"}, buildFlags(), []string{"-o", path, "./cmd/rte-server"})
	cmd := exec.Command("go", args...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return path, nil
}

// Remove removes the built program.
func (p *Programs) Remove() {
	if p.dir != "" {
		_ = os.RemoveAll(p.dir) // the system removes temporary files later
	}
}

// moduleRoot returns the folder of go.mod, above the folder of the test.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("find go.mod: %w", fs.ErrNotExist)
		}
		dir = parent
	}
}

// touch opens all files at and below the paths. Go caches the result of a test by the files that the test itself opens:
// without this, an old result would count for a new program.
func touch(paths []string) error {
	for _, path := range paths {
		err := filepath.WalkDir(path, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			file, err := os.Open(path)
			if err != nil {
				return err
			}
			return file.Close()
		})
		if err != nil {
			return err
		}
	}
	return nil
}
