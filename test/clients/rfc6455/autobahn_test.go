package rfc6455

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// wstest is the path of the Autobahn test suite's program. If it is empty, TestAutobahn does nothing.
var wstest = flag.String("wstest", "", "path of the Autobahn test suite's program, which tests the node")

// excluded are cases that do not apply to a hub.
var excluded = []string{
	"1.2.*", "9.2.*", "9.4.*", "9.6.*", "9.8.*", // a binary message cannot be the name of a method
	"6.7.1",        // JSON allows the character 0 only as an escape
	"12.*", "13.*", // compression is not offered, as in ASP.NET Core (W2)
}

// deviation is a case in which the node deliberately differs from the suite's preference.
type deviation struct {
	cases *regexp.Regexp
	result
	why string
}

// deviations are all deviations. The RFC allows each of them, or only a broken client sees it.
var deviations = []deviation{
	{
		regexp.MustCompile(`^2\.1[01]$`),
		result{"FAILED", "OK", normal},
		"of pings that come together only the last is answered (RFC 6455 section 5.5.3)",
	},
	{
		regexp.MustCompile(`^5\.([678]|19|20)$`),
		result{"FAILED", "OK", normal},
		"a ping that comes together with the end of a message is answered behind that message",
	},
	{
		regexp.MustCompile(`^6\.`),
		result{"OK", "WRONG CODE", normal},
		"text is checked as part of a hub message, whose error ends the connection with status 1000 (W4, D7)",
	},
	{
		regexp.MustCompile(`^6\.4\.`),
		result{"NON-STRICT", "WRONG CODE", normal},
		"and not before the hub message is complete",
	},
}

// result is the suite's result for a case.
type result struct {
	Behavior      string
	BehaviorClose string
	RemoteClose   int `json:"remoteCloseCode"`
}

// TestAutobahn tests the node with the Autobahn test suite.
func TestAutobahn(t *testing.T) {
	if *wstest == "" {
		return
	}
	bridge := startBridge(t, startNode(t), rtetest.MustToken(t, authz.Claims{Role: authz.RoleAgent}))
	for id, v := range runAutobahn(t, "ws://"+bridge.Addr().String()+"/rte") {
		t.Run(id, func(t *testing.T) {
			ok := []string{"OK", "NON-STRICT", "INFORMATIONAL"}
			if slices.Contains(ok, v.Behavior) && slices.Contains(ok, v.BehaviorClose) {
				return
			}
			known := slices.IndexFunc(deviations, func(d deviation) bool { return d.result == v && d.cases.MatchString(id) })
			if known < 0 {
				t.Fatalf("%+v", v)
			}
			t.Log(deviations[known].why)
		})
	}
}

// runAutobahn runs the suite against a server and returns the results by case.
func runAutobahn(t *testing.T, url string) map[string]result {
	t.Helper()
	dir := t.TempDir()
	spec, err := json.Marshal(map[string]any{
		"outdir":        dir,
		"servers":       []any{map[string]any{"agent": "rte-server", "url": url, "options": map[string]any{"version": 18}}},
		"cases":         []string{"*"},
		"exclude-cases": excluded,
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "spec.json")
	if err := os.WriteFile(path, spec, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(*wstest, "-m", "fuzzingclient", "-s", path).CombinedOutput(); err != nil {
		t.Fatalf("wstest: %v\n%s", err, out)
	}
	index, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var results map[string]map[string]result
	if err := json.Unmarshal(index, &results); err != nil {
		t.Fatal(err)
	}
	return results["rte-server"]
}
