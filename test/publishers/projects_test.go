package publishers_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// TestProjects runs the publishers of examples/ as the user of docs/redis.md. A node receives each event and would not
// quarantine it.
func TestProjects(t *testing.T) {
	server := mustRedis(t)
	_, sink := mustNode(t, server, "node")
	published := 0
	for name, command := range map[string]func(t *testing.T, dir string) *exec.Cmd{
		"go": func(t *testing.T, _ string) *exec.Cmd { return exec.CommandContext(t.Context(), "go", "run", ".") },
		"python": func(t *testing.T, _ string) *exec.Cmd {
			return exec.CommandContext(t.Context(), mustDependency(t, "build/publishers/bin/python"), "publish.py")
		},
		"typescript": func(t *testing.T, dir string) *exec.Cmd {
			esbuild := mustDependency(t, "clients/typescript/node_modules/.bin/esbuild")
			mustRunIn(t, dir, esbuild, "--log-level=error", "--outfile=publish.mjs", "publish.ts")
			if err := os.Symlink(mustDependency(t, "test/publishers/node_modules"), dir+"/node_modules"); err != nil {
				t.Fatal(err)
			}
			return exec.CommandContext(t.Context(), "node", "publish.mjs")
		},
		"java": func(t *testing.T, _ string) *exec.Cmd {
			java := rtetest.MustLookPath(t, "java", "apt-get install openjdk-17-jdk-headless")
			libraries := filepath.Join(mustDependency(t, "build/jedis"), "*")
			return exec.CommandContext(t.Context(), java, "-cp", libraries, "src/main/java/Publish.java")
		},
		"csharp": func(t *testing.T, _ string) *exec.Cmd {
			dotnet := rtetest.FindDotnet(t, "the publisher in C#")
			if dotnet == "" {
				return nil
			}
			program := mustDependency(t, "build/dotnet/Publisher/bin/Release/net10.0/Publisher.dll")
			return exec.CommandContext(t.Context(), dotnet, program)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS("../../examples/publishers/"+name)); err != nil {
				t.Fatal(err)
			}
			cmd := command(t, dir)
			if cmd == nil {
				return
			}
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "REDIS_URL=redis://publisher:"+password+"@"+server.Addr, "ORGANIZATION="+organization,
				"USER_ID="+user, "REDIS_CONFIGURATION="+server.Addr+",user=publisher,password="+password)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			published++
			mustValidate(t, sink.Wait(t, published)[published-1].Data)
		})
	}
}

// mustRunIn runs a program in a folder.
func mustRunIn(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
}
