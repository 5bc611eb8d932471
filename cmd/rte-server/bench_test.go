package main

import (
	"regexp"
	"testing"
)

func TestBench_reportsDeliveries(t *testing.T) {
	p := start(t, serveArgs()...)
	stdout := mustCommand(t, "", "bench", "--url", p.clients+"/rte", "--operators", p.operators, "--org", testOrganization,
		"--clients=20", "--topics=10", "--subscriptions=3", "--rate=500", "--for=1s")
	want := `^published    500 events in \d+\.\d s
delivered    3000 of 3000, \d+ per second
latency      p50 \S+s, p99 \S+s, most \S+s
lost         0
duplicates   0
out of order 0
$`
	if !regexp.MustCompile(want).MatchString(stdout) {
		t.Errorf("printed\n%s", stdout)
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
