package main

import (
	"regexp"
	"testing"
)

func TestBench(t *testing.T) {
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

func TestBench_Mistakes(t *testing.T) {
	p := start(t, serveArgs()...)
	for name, test := range map[string]struct {
		args []string
		want int
	}{
		"no organization":    {nil, 2},
		"too many clients":   {[]string{"--org", testOrganization, "--clients=1000000"}, 2},
		"more than there is": {[]string{"--org", testOrganization, "--topics=1"}, 2},
		"wrong token":        {[]string{"--org", testOrganization, "--token=x", "--url", p.clients + "/rte"}, 1},
		"no operators' port": {[]string{"--org", testOrganization, "--clients=1", "--url", p.clients + "/rte", "--operators", p.clients}, 1},
	} {
		if _, stderr, err := command(t, "", append([]string{"bench"}, test.args...)...); exitCode(err) != test.want {
			t.Errorf("%s: %v\n%s", name, err, stderr)
		}
	}
}

// TestBenchResult checks what is made of what arrives.
func TestBenchResult(t *testing.T) {
	c := &benchClient{last: map[int]int{}}
	for _, number := range []int{1, 2, 2, 4, 3, 5} { // 2 comes twice, 3 late
		c.count(7, number, benchTick)
	}
	if r := c.result; r.delivered != 5 || r.duplicates != 1 || r.disordered != 1 || r.quantile(0.99) != benchTick {
		t.Errorf("delivered %d, duplicates %d, disordered %d, p99 %s", r.delivered, r.duplicates, r.disordered, r.quantile(0.99))
	}
	b := &bench{clients: 3, topics: 4, subscriptions: 2}
	// Listeners of the topics: 2, 2, 1, 1. Of five events two are about the first.
	if got := b.expected(5); got != 2*2+2+1+1 {
		t.Errorf("expected %d", got)
	}
}
