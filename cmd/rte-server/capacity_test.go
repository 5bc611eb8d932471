package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

func TestCapacity_growsWithTheLoad(t *testing.T) {
	compute := func(args ...string) (c capacity) {
		t.Helper()
		text := mustCommand(t, "", append([]string{"capacity", "--output=json"}, args...)...)
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	few, many := compute("--agents=100"), compute("--agents=20000")
	if few.Nodes != 2 || many.Nodes < few.Nodes {
		t.Errorf("%d nodes for 100 agents, %d for 20,000", few.Nodes, many.Nodes)
	}
	if many.Connections > maxConnections || many.Connections*(many.Nodes-many.Load.Spare) < 20_000 {
		t.Errorf("%d clients on each of %d nodes, one of which may be missing", many.Connections, many.Nodes)
	}
	if many.MemoryBytes < int64(many.Connections)*connectionMemory || many.Descriptors <= many.LimitsConnections ||
		many.LimitsConnections <= many.Connections {
		t.Errorf("too small: %+v", many)
	}
	if busier := compute("--agents=20000", "--subscribers=400"); busier.Nodes <= many.Nodes {
		t.Errorf("%d nodes for 20 times the deliveries, %d before", busier.Nodes, many.Nodes)
	}
	if text := mustCommand(t, "", "capacity", "--agents=20000"); !strings.Contains(text, "limits.connections") {
		t.Errorf("printed %s", text)
	}
	for _, args := range [][]string{{"--agents=0"}, {"--return=0s"}, {"--agents=1000000", "--event-rate=10"}} {
		if _, stderr, err := command(t, "", append([]string{"capacity"}, args...)...); exitCode(err) != 2 {
			t.Errorf("%v: ended with %v: %s", args, err, stderr)
		}
	}
}

func TestCapacity_isDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/capacity.md")
	if err != nil {
		t.Fatal(err)
	}
	if rows := mustCommand(t, "", "capacity", "--markdown"); !strings.Contains(string(page), rows) {
		t.Errorf("docs/capacity.md has another table than \"rte-server capacity --markdown\":\n%s", rows)
	}
}
