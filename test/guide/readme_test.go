package guide

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// TestReadme_commandsRun runs the commands of README.md. A new block fails until this test knows it. The package e2e
// runs "make dev" as well as the client with the commands for its empty folder.
func TestReadme_commandsRun(t *testing.T) {
	t.Parallel()
	blocks := blocksIn(t, "README.md", "sh")
	if len(blocks) != 3 || blocks[0] != "make dev\n" {
		t.Fatalf("this test does not know the commands %q", blocks)
	}
	t.Run("the server starts", func(t *testing.T) {
		redis := rtetest.MustStartRedis(t)
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "bin"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(programs.MustBuild(t), filepath.Join(dir, "bin/rte-server")); err != nil {
			t.Fatal(err)
		}
		// The program is built already, has the ports of this test, and gets the signal that ends it.
		commands, found := strings.CutPrefix(blocks[1], "make build\n")
		start := "bin/rte-server serve --redis.addresses 127.0.0.1:6379"
		if !found || !strings.Contains(commands, start) {
			t.Fatalf("this test does not know the commands %q", blocks[1])
		}
		commands = strings.ReplaceAll(commands, start, "exec bin/rte-server serve --redis.addresses "+redis.Addr+
			" --listen 127.0.0.1:0 --console.listen 127.0.0.1:0")
		cmd := exec.Command("bash", "-euo", "pipefail", "-c", commands)
		cmd.Dir = dir
		server := rtetest.MustStartProgram(t, cmd)
		server.WaitFor("the start", func() bool { return server.Logs("started") })
	})
	t.Run("one can publish without Redis", func(t *testing.T) {
		text := regexp.MustCompile("`(redis-cli PUBLISH rte:org:0d000000-0000-4000-8000-000000000001) '{...}'`")
		command := text.FindStringSubmatch(mustRead(t, "README.md"))
		if command == nil {
			t.Fatal("README.md publishes no event")
		}
		_, port, _ := strings.Cut(rtetest.MustFreeAddr(t), ":")
		d := startDevelopment(t, "--redis-port="+port)
		sample := mustRead(t, "testdata/events/UserStatus.json")
		organization := regexp.MustCompile(`"OrganizationId": *"([^"]+)"`).FindStringSubmatch(sample)
		if organization == nil {
			t.Fatalf("the sample has no organization: %s", sample)
		}
		event := strings.ReplaceAll(sample, organization[1], "0d000000-0000-4000-8000-000000000001")
		publish := strings.Replace(command[1], "redis-cli", "redis-cli -p "+port, 1) + " '" + event + "'"
		out, err := exec.CommandContext(t.Context(), "bash", "-euc", publish).CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != "1" {
			t.Errorf("%s: %v: %s\n%.2000s", publish, err, out, d.server.Log())
		}
	})
}

// TestPages_nameTargetsOfMake checks that each "make TARGET" of a page names a target.
func TestPages_nameTargetsOfMake(t *testing.T) {
	t.Parallel()
	targets := map[string]bool{}
	for _, found := range regexp.MustCompile(`(?m)^([a-z-]+):`).FindAllStringSubmatch(mustRead(t, "Makefile"), -1) {
		targets[found[1]] = true
	}
	out, err := exec.CommandContext(t.Context(), "git", "-C", repository, "ls-files", "-co", "--exclude-standard", "*.md").
		Output()
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile("(?m)(?:`|^    |^ *```sh\\n)make ([a-z-]+)")
	named := 0
	for name := range strings.Lines(string(out)) {
		name = strings.TrimSpace(name)
		for _, found := range command.FindAllStringSubmatch(mustRead(t, name), -1) {
			named++
			if !targets[found[1]] {
				t.Errorf("%s names %q, which the Makefile does not have", name, "make "+found[1])
			}
		}
	}
	if named < 10 {
		t.Errorf("the pages name %d targets", named)
	}
	for line := range strings.Lines(strings.Join(blocksIn(t, "README.md", "sh"), "")) {
		if found := regexp.MustCompile(`^make ([a-z-]+)`).FindStringSubmatch(line); found != nil && !targets[found[1]] {
			t.Errorf("README.md names %q, which the Makefile does not have", line)
		}
	}
}
