package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// redisCLI runs redis-cli with a standard input.
func redisCLI(t *testing.T, server *rtetest.Redis, stdin string, args ...string) string {
	t.Helper()
	path := rtetest.MustLookPath(t, "redis-cli", "apt-get install redis-tools")
	cmd := exec.CommandContext(t.Context(), path, append([]string{"-u", "redis://" + server.Addr}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("redis-cli %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// The arguments of a publisher of docs/redis.md that calls the function.
const (
	testLane = "rte:org:" + testOrganization
	testJSON = `{"OrganizationId":"` + testOrganization + `","EntityType":"User","EntityId":"` + testUser +
		`","EventType":"UserAlert"}`
)

func TestRedisFunctions_printsAndLoads(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	keys := []string{
		"2", "rte:j:{" + testLane + "}", "rte:n:{" + testLane + "}", testLane, testJSON, "5000", "0", "PUBLISH",
	}

	library := mustCommand(t, "", "redis", "functions")
	if got := redisCLI(t, server, library, "-x", "FUNCTION", "LOAD", "REPLACE"); got != "rte" {
		t.Fatalf("loading what is printed: %s", got)
	}
	if got := redisCLI(t, server, "", append([]string{"FCALL", "rte_publish"}, keys...)...); !strings.Contains(got, "-") {
		t.Errorf("rte_publish answers %s", got)
	}
	version := redisCLI(t, server, "", "FCALL_RO", "rte_version", "0")
	if !strings.HasPrefix(library, "#!lua name=rte\n-- rte-server, version "+version+"\n") {
		t.Errorf("version %s begins with\n%.100s", version, library)
	}

	script := mustCommand(t, "", "redis", "functions", "--script")
	sha := redisCLI(t, server, script, "-x", "SCRIPT", "LOAD")
	if got := redisCLI(t, server, "", append([]string{"EVALSHA", sha}, keys...)...); !strings.Contains(got, "-") {
		t.Errorf("the script answers %s", got)
	}
	if got := redisCLI(t, server, "", "XLEN", keys[1]); got != "2" {
		t.Errorf("%s events are in the journal", got)
	}

	redisCLI(t, server, "", "FUNCTION", "FLUSH")
	if got := mustCommand(t, "", "redis", "functions", "--load", "--redis.addresses="+server.Addr); got != "loaded\n" {
		t.Errorf("--load printed %s", got)
	}
	if got := redisCLI(t, server, "", "FCALL_RO", "rte_version", "0"); got != version {
		t.Errorf("loaded version %s, want %s", got, version)
	}
}

func TestRedisFunctions_refusesMistakes(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	server.Kill()
	for args, want := range map[string]int{
		"--load": 2, "--load --script": 2, "--nothing": 2, "--load --redis.addresses=" + server.Addr: 1,
	} {
		if _, stderr, err := command(
			t, "", append([]string{"redis", "functions"}, strings.Fields(args)...)...,
		); exitCode(err) != want {
			t.Errorf("%s: %v\n%s", args, err, stderr)
		}
	}
}

// TestServe_loadsFunctions checks that a node loads missing or old functions into Redis, at the latest when it
// publishes.
func TestServe_loadsFunctions(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	want := printedVersion(t)
	old := strings.Replace(mustCommand(t, "", "redis", "functions"), "return "+want+" end", "return 0 end", 1)
	redisCLI(t, server, old, "-x", "FUNCTION", "LOAD")
	p := start(t, serveArgs("--redis.addresses="+server.Addr)...)
	eventually(t, "the present version", func() bool {
		return redisCLI(t, server, "", "FCALL_RO", "rte_version", "0") == want
	})
	redisCLI(t, server, "", "FUNCTION", "FLUSH")
	if status, answer := p.post("/api/publish", testJSON); status != 200 {
		t.Errorf("published: %d %s", status, answer)
	}
	if got := redisCLI(t, server, "", "FCALL_RO", "rte_version", "0"); got != want {
		t.Errorf("version %s, want %s", got, want)
	}
}

// printedVersion returns the version in the printed library.
func printedVersion(t *testing.T) string {
	t.Helper()
	_, rest, _ := strings.Cut(mustCommand(t, "", "redis", "functions"), "version ")
	version, _, _ := strings.Cut(rest, "\n")
	return version
}
