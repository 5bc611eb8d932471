package helpers

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// javaClasses is the folder with the compiled helper for Java and the application with it. TestMain removes it.
var javaClasses string

// buildJava compiles clients/java once, with all warnings, and java/App.java.
var buildJava = sync.OnceValue(func() error {
	var err error
	if javaClasses, err = os.MkdirTemp("", "rte-java-test-"); err != nil {
		return err
	}
	sources := []string{"java/App.java"}
	source := filepath.Join(repository, "clients/java/src/main/java")
	err = filepath.WalkDir(source, func(path string, entry fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".java") {
			sources = append(sources, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	out, err := exec.Command("javac", append([]string{
		"-Xlint:all", "-Werror", "-cp", javaLibraries, "-d", javaClasses,
	}, sources...)...).CombinedOutput()
	if err != nil {
		return errors.New(string(bytes.TrimSpace(out)))
	}
	return nil
})

// javaLibraries is what "make deps" installs for Java: Microsoft's client with its dependencies.
const javaLibraries = repository + "/build/java/lib/*"

func mustBuildJava(t *testing.T) {
	t.Helper()
	mustBeInstalled(t, "build/java/clients.jar")
	if err := buildJava(); err != nil {
		t.Fatalf("javac: %v", err)
	}
}

// javaCommand starts a class.
func javaCommand(class string, args ...string) *exec.Cmd {
	path := javaClasses + string(os.PathListSeparator) + javaLibraries
	quick := []string{"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", path, class}
	return exec.Command("java", append(quick, args...)...)
}

// mustPackageJava packages clients/java as Maven does, in a copy, and returns the path of the jar.
func mustPackageJava(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(repository, "clients/java"))); err != nil {
		t.Fatal(err)
	}
	mustRun(t, dir, "mvn", "--quiet", "--batch-mode", "clean", "package")
	return filepath.Join(dir, "target/rte-server-client-0.1.0.jar")
}

// TestJava_sampleContinuesAfterARestart compiles the sample of the README against the package, and runs it.
func TestJava_sampleContinuesAfterARestart(t *testing.T) {
	t.Parallel()
	dir, listen := mustWriteSample(t, "java", "java", "Sample.java")
	path := mustPackageJava(t) + string(os.PathListSeparator) + mustBeInstalled(t, "build/java/lib") + "/*"
	mustRun(t, dir, "javac", "-Xlint:all", "-Werror", "-cp", path, "Sample.java")
	cmd := exec.CommandContext(t.Context(), "java", "-cp", dir+string(os.PathListSeparator)+path, "Sample")
	continuesAfterARestart(t, listen, cmd)
}
