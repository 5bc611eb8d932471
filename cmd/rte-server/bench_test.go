package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/loadgen"
)

func TestBench_reportsDeliveries(t *testing.T) {
	p := start(t, serveArgs()...)
	stdout := mustCommand(t, "", "bench", "--url", p.clients+"/rte", "--operators", p.operators, "--org", testOrganization,
		"--clients=20", "--topics=10", "--subscriptions=3", "--rate=500", "--for=1s")
	want := `^published      500 events in \d+\.\d s
delivered      3000 of 3000, \d+ per second
latency        p50 \S+s, p99 \S+s, most \S+s
lost           0
duplicates     0
out of order   0
complete: every event arrived once and in order
$`
	if !regexp.MustCompile(want).MatchString(stdout) {
		t.Errorf("printed\n%s", stdout)
	}
}

// The page has no scripts, and the result as JSON has the latencies.
func TestBench_writesAPageAndJSON(t *testing.T) {
	p := start(t, serveArgs()...)
	page := filepath.Join(t.TempDir(), "report.html")
	stdout := mustCommand(t, "", "bench", "--url", p.clients+"/rte", "--operators", p.operators, "--org", testOrganization,
		"--clients=5", "--topics=5", "--subscriptions=2", "--rate=200", "--for=500ms", "--output=json", "--report", page)
	var r loadgen.Report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || !r.Complete() || len(r.Latencies) == 0 {
		t.Errorf("%v: %s", err, stdout)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Complete: every event arrived", "<rect", "200 of 200"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(string(text), "<script") {
		t.Error("the page has a script")
	}
}

func TestBench_refusesMistakes(t *testing.T) {
	p := start(t, serveArgs()...)
	for name, test := range map[string]struct {
		args []string
		want int
	}{
		"no organization":    {nil, 2},
		"too many clients":   {[]string{"--org", testOrganization, "--clients=1000000"}, 2},
		"more than there is": {[]string{"--org", testOrganization, "--topics=1"}, 2},
		"wrong token":        {[]string{"--org", testOrganization, "--token=x", "--url", p.clients + "/rte"}, 1},
		"no operator port": {
			[]string{"--org", testOrganization, "--clients=1", "--url", p.clients + "/rte", "--operators", p.clients}, 1,
		},
	} {
		if _, stderr, err := command(t, "", append([]string{"bench"}, test.args...)...); exitCode(err) != test.want {
			t.Errorf("%s: %v\n%s", name, err, stderr)
		}
	}
}
