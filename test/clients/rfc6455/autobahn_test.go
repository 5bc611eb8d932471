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

// wstest is the program of the Autobahn test suite; empty: TestAutobahn has nothing to do.
var wstest = flag.String("wstest", "", "path of the Autobahn test suite's program, to be judged by it")

// excluded are cases that cannot be asked of a hub.
var excluded = []string{
	"1.2.*", "9.2.*", "9.4.*", "9.6.*", "9.8.*", // a binary message is no text, and so no name of a method
	"6.7.1",        // JSON has no character 0 but as an escape
	"12.*", "13.*", // compression is not offered, as in ASP.NET Core (W2)
}

// deviation is a case in which the node does something else than the suite likes best, on purpose.
type deviation struct {
	cases *regexp.Regexp
	verdict
	why string
}

// deviations are all of them. Each is something that the RFC allows, or that only a broken client would see.
var deviations = []deviation{
	{
		regexp.MustCompile(`^2\.1[01]$`),
		verdict{"FAILED", "OK", normal},
		"of pings that come together only the last is answered (RFC 6455 section 5.5.3)",
	},
	{
		regexp.MustCompile(`^5\.([678]|19|20)$`),
		verdict{"FAILED", "OK", normal},
		"a ping that comes together with the end of a message is answered behind that message",
	},
	{
		regexp.MustCompile(`^6\.`),
		verdict{"OK", "WRONG CODE", normal},
		"text is checked as part of a hub message, whose error ends the connection with status 1000 (W4, D7)",
	},
	{
		regexp.MustCompile(`^6\.4\.`),
		verdict{"NON-STRICT", "WRONG CODE", normal},
		"and not before the hub message is complete",
	},
}

// verdict is what the suite says about a case.
type verdict struct {
	Behavior      string
	BehaviorClose string
	RemoteClose   int `json:"remoteCloseCode"`
}

// TestAutobahn has the node judged by the Autobahn test suite.
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
			known := slices.IndexFunc(deviations, func(d deviation) bool { return d.verdict == v && d.cases.MatchString(id) })
			if known < 0 {
				t.Fatalf("%+v", v)
			}
			t.Log(deviations[known].why)
		})
	}
}

// runAutobahn runs the suite against a server and answers its verdicts, by case.
func runAutobahn(t *testing.T, url string) map[string]verdict {
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
	var verdicts map[string]map[string]verdict
	if err := json.Unmarshal(index, &verdicts); err != nil {
		t.Fatal(err)
	}
	return verdicts["rte-server"]
}
