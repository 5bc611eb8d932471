package clients

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// The .NET clients with stateful reconnect continue through another node, and then at the node that has their
// connection. Each event comes once and in order, and the application notices nothing.
func TestStatefulReconnect_dotnet(t *testing.T) {
	s := newStage(t)
	settings := rtetest.Settings{"relay.listen": "127.0.0.1:0"}
	owner, other := s.startNode(t, settings), s.startNode(t, settings)
	other.WaitFor("the nodes to know each other", func() bool { return other.Metric("rte_node_peers") == 1 })
	proxy := startCutter(t, owner.Host)
	agent := s.agent(t)
	var all []*connection
	for _, l := range dotnetLibraries(t) {
		if strings.HasPrefix(l.name, "dotnet 1.") || strings.HasPrefix(l.name, "dotnet 6.") {
			continue // without stateful reconnect
		}
		c := startClient(t, l, s)
		c.waitReady(t)
		for _, protocol := range []string{"json", "messagepack"} {
			conn := c.mustOpen(t, options{
				url: proxy.hubURL(), token: s.token, protocol: protocol, reconnect: true, stateful: true,
			})
			var results []map[string]any
			conn.mustInvoke(t, &results, "Subscribe", []any{item(agent, eventName)})
			all = append(all, conn)
		}
	}
	if len(all) == 0 {
		return // dotnetLibraries has logged why
	}
	owner.WaitFor("the nodes to know the connections", func() bool { return announced(owner, len(all)) })
	const events = 5
	for i, node := range []*rtetest.Server{owner, other, owner} {
		proxy.node.Store(&node.Host)
		if i > 0 {
			proxy.cut(nil, 1, 0)
		}
		s.publishFrom(t, agent, i*events, events, true)
		for _, conn := range all {
			for n := i * events; n < (i+1)*events; n++ {
				if got := conn.nextNumber(t); got != n {
					t.Fatalf("%s, %s: event %d, want %d", conn.client.name, conn.protocol, got, n)
				}
			}
		}
		if node == other && other.Metric("rte_relay_passed") != float64(len(all)) {
			t.Errorf("%v sockets are passed on", other.Metric("rte_relay_passed"))
		}
	}
	for _, conn := range all {
		select {
		case l := <-conn.events:
			t.Errorf("%s reported %q (%s)", conn.client.name, l.Event, l.Error)
		default:
		}
	}
}

var numberPattern = regexp.MustCompile(`(?i)"number":(\d+)`)

// nextNumber returns the number of the next event.
func (c *connection) nextNumber(t *testing.T) int {
	t.Helper()
	select {
	case text := <-c.messages:
		found := numberPattern.FindSubmatch(text)
		if found == nil {
			t.Fatalf("%s has no number", text)
		}
		number, err := strconv.Atoi(string(found[1]))
		if err != nil {
			t.Fatal(err)
		}
		return number
	case l := <-c.events:
		t.Fatalf("%s reported %q (%s) instead of a message", c.client.name, l.Event, l.Error)
	case <-c.client.done:
		t.Fatal("the client's process has ended")
	case <-time.After(patience):
		t.Fatalf("%s, %s: no event came", c.client.name, c.protocol)
	}
	return 0
}
