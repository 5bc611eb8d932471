package helpers

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// TestPackage_isSmall checks the size that build.mjs reports. A larger package stops the build.
func TestPackage_isSmall(t *testing.T) {
	mustBuild(t)
	out := client.Output()
	if !regexp.MustCompile(`^\d+ bytes of 8192$`).MatchString(out) {
		t.Errorf("the build printed %q", out)
	}
	rtetest.Report(t, t.Name(), "clients/typescript: "+out+" (minified, with gzip, without @microsoft/signalr)")
}

// TestPackage_compilesStrictly packs the package as npm does, installs it in an empty project beside Microsoft's
// client, and compiles programs against it, as ESM and CommonJS.
func TestPackage_compilesStrictly(t *testing.T) {
	source := filepath.Join(mustBuild(t), "node_modules")
	var packed []struct {
		Filename string
		Files    []struct{ Path string }
	}
	dir := t.TempDir()
	out := mustRun(t, filepath.Join(source, "@rte-server/client"),
		"npm", "pack", "--json", "--ignore-scripts", "--pack-destination", dir)
	if err := json.Unmarshal([]byte(out), &packed); err != nil {
		t.Fatalf("npm pack printed %s: %v", out, err)
	}
	var files []string
	for _, file := range packed[0].Files {
		files = append(files, file.Path)
	}
	for _, want := range []string{
		"README.md", "dist/index.js", "dist/index.cjs", "dist/index.d.ts", "dist/index.d.cts", "dist/react.js",
		"dist/react.cjs", "dist/browser.js",
	} {
		if !slices.Contains(files, want) {
			t.Errorf("the package lacks %s: %v", want, files)
		}
	}
	modules := filepath.Join(dir, "node_modules")
	if err := os.MkdirAll(filepath.Join(modules, "@rte-server"), 0o700); err != nil {
		t.Fatal(err)
	}
	mustRun(t, dir, "tar", "-xzf", packed[0].Filename)
	if err := os.Rename(filepath.Join(dir, "package"), filepath.Join(modules, "@rte-server/client")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"@microsoft", "@types", "react", "csstype"} {
		if err := os.Symlink(filepath.Join(source, name), filepath.Join(modules, name)); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile("node/types.ts")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"types.mts", "types.cts"} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mustRun(t, dir, "node", filepath.Join(source, "typescript/bin/tsc"), "--strict", "--noEmit", "--module", "nodenext",
		"--moduleResolution", "nodenext", "--target", "es2022", "--lib", "es2022,dom", "--types", "",
		"types.mts", "types.cts")
}
