package clients

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// herdSize is the number of connections that a rolling restart must not lose.
const herdSize = 500

// TestThreeNodes plays the script with every client through HAProxy. HAProxy ends TLS and sends each request to the
// next of three nodes, so one node negotiates and another upgrades. Then the test restarts all nodes, one after the
// other, while these clients and a herd of connections are connected. No connection may be lost.
func TestThreeNodes(t *testing.T) {
	s := newStage(t)
	var nodes []*rtetest.Server
	for range 3 {
		// The load balancer needs time to notice that a node stops.
		nodes = append(nodes, s.startNode(t, rtetest.Settings{
			"shutdown.delay": "2s", "shutdown.drain": "1s", "transports": allTransports["transports"],
			"relay.listen": "127.0.0.1:0",
		}))
	}
	s.fallbacks = true
	balancer := rtetest.MustStartHAProxy(t, "roundrobin", nodes...)
	s.hubURL, s.http2URL, s.certificate = balancer.HubURL, balancer.HTTP2URL, balancer.Certificate

	awaitPeers(nodes)
	agent := s.agent(t)
	herd := startHerd(t, s, agent)
	s.playAll(t, len(nodes), func() {
		if report := herd.report(t); report.Subscribed != herdSize {
			t.Fatalf("the herd is not ready: %+v", report)
		}
		for _, node := range nodes {
			node.Stop()
			node.Start()
			balancer.WaitFor(len(nodes))
		}
		awaitPeers(nodes)
	})

	t.Run("no connection of the herd is lost", func(t *testing.T) {
		herd.waitFor(t, "all are back and subscribed", func(r report) bool {
			return r.Connected == herdSize && r.Subscribed == herdSize
		})
		const events = 3
		before := herd.report(t).Received
		s.publish(t, &connection{protocol: "json"}, agent, events)
		r := herd.waitFor(t, "events arrive everywhere", func(r report) bool {
			for i, received := range r.Received {
				if received-before[i] < events {
					return false
				}
			}
			return true
		})
		for i, received := range r.Received {
			if received-before[i] != events {
				t.Errorf("connection %d received %d events, want %d", i, received-before[i], events)
			}
		}
		if r.Reconnects < herdSize {
			t.Errorf("%d reconnects of %d connections: each of them had to go at least once", r.Reconnects, herdSize)
		}
		sessions := 0.0
		for _, node := range nodes {
			sessions += node.Metric("rte_hub_sessions_open")
		}
		t.Logf("%d reconnects; sessions on all nodes: %v", r.Reconnects, sessions)
	})
}

// awaitPeers waits until all nodes know each other.
func awaitPeers(nodes []*rtetest.Server) {
	for _, node := range nodes {
		node.WaitFor("the nodes to know each other", func() bool {
			return int(node.Metric("rte_node_peers")) == len(nodes)-1
		})
	}
}

// herd is a process of node/herd.js.
type herd struct{ lines *rtetest.Lines }

// report is a line that a herd prints.
type report struct {
	Connected, Subscribed, Reconnects int
	Lost                              []string
	Received                          []int // by connection
}

// startHerd starts herdSize connections that subscribe to an agent.
func startHerd(t *testing.T, s *stage, agent string) *herd {
	t.Helper()
	cmd := node("herd.js", s.hubURL, s.token, fmt.Sprint(herdSize), agent, eventName)(t, s)
	return &herd{rtetest.MustStartLines(t, cmd)}
}

// report requests a report from the herd. It fails the test if a connection gave up.
func (h *herd) report(t *testing.T) (r report) {
	t.Helper()
	if err := json.Unmarshal([]byte(h.lines.Request()), &r); err != nil {
		t.Fatal(err)
	}
	slices.Sort(r.Lost)
	if lost := slices.Compact(r.Lost); len(lost) > 0 {
		t.Fatalf("the herd lost connections: %q", lost)
	}
	return r
}

// waitFor requests reports until condition holds.
func (h *herd) waitFor(t *testing.T, what string, condition func(report) bool) report {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		r := h.report(t)
		if condition(r) {
			return r
		}
		if time.Now().After(deadline) {
			r.Received = nil
			t.Fatalf("waited in vain until %s: %+v", what, r)
		}
	}
}
