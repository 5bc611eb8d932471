package dotnet

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// programs is the binary that the tests start; TestMain removes it.
var programs rtetest.Programs

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		programs.Remove()
		os.Exit(code)
	}))
}

// repository is the root of the repository.
const repository = "../.."

// mustFindDotnet returns the dotnet on the PATH, or nothing where there is none. built is what scripts/build-dotnet.sh
// makes for the test.
func mustFindDotnet(t *testing.T, built string) string {
	t.Helper()
	program := rtetest.FindDotnet(t, built)
	if program == "" {
		return ""
	}
	if _, err := os.Stat(filepath.Join(repository, "build/dotnet", built)); err != nil {
		t.Fatalf("%s is missing: make deps", built)
	}
	return program
}

// mustRun runs a command of dotnet at the root of the repository and returns what it prints.
func mustRun(t *testing.T, limit time.Duration, environment []string, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = repository
	cmd.Env = append(rtetest.Unconfigured(os.Environ()), environment...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("dotnet %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestPackage runs the tests of the C# package, against a hub of their own and against the built program.
func TestPackage(t *testing.T) {
	dotnet := mustFindDotnet(t, "RteServer.Client.Tests")
	if dotnet == "" {
		return
	}
	server := programs.MustBuild(t, repository+"/clients/dotnet", repository+"/testdata/events")
	for name, folder := range map[string]string{
		"net8.0, client 8.0.34": "RteServer.Client.Tests", "netstandard2.0, client 11.0.0": "RteServer.Client.Tests.Old",
	} {
		t.Run(name, func(t *testing.T) {
			// West of UTC, where times without a zone overflow most easily.
			out := mustRun(t, 5*time.Minute, []string{"RTESERVER=" + server, "TZ=America/New_York"}, dotnet,
				"vstest", "build/dotnet/"+folder+"/bin/Release/net10.0/RteServer.Client.Tests.dll")
			counts := strings.TrimSpace(out[strings.LastIndex(strings.TrimSpace(out), "\n")+1:])
			t.Log(counts)
			rtetest.Report(t, strings.ReplaceAll(t.Name(), "/", "-"), counts)
		})
	}
}

// TestPackage_IsPackedWithoutWarnings makes the package that a registry would get.
func TestPackage_IsPackedWithoutWarnings(t *testing.T) {
	dotnet := mustFindDotnet(t, "RteServer.Client")
	if dotnet == "" {
		return
	}
	dir := t.TempDir()
	out := mustRun(t, time.Minute, nil, dotnet,
		"pack", "--nologo", "--no-build", "-c", "Release", "-o", dir, "clients/dotnet/src")
	if strings.Contains(out, "warning") {
		t.Errorf("dotnet pack: %s", out)
	}
	if found, _ := filepath.Glob(dir + "/RteServer.Client.*.nupkg"); len(found) != 1 {
		t.Errorf("dotnet pack made %v, want one package", found)
	}
}
