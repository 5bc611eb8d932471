package clients

import (
	"fmt"
	"testing"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// allTransports are the settings of a node with all transports.
var allTransports = rtetest.Settings{"transports": "WebSockets,ServerSentEvents,LongPolling"}

// TestOneNode plays the script with every client against one node, and restarts the node while they are connected.
func TestOneNode(t *testing.T) {
	s := newStage(t)
	node := s.startNode(t, allTransports)
	s.fallbacks = true
	s.hubURL = node.HubURL
	s.playAll(t, 1, func() {
		node.Stop()
		node.Start()
	})
}

// count counts the ways to connect that a client has played, and the restarts that it has lived through.
type count struct{ passed, all int }

func (n *count) add(passed bool) {
	n.all++
	if passed {
		n.passed++
	}
}

// playAll plays the script with every client. restart stops and starts every node.
func (s *stage) playAll(t *testing.T, nodes int, restart func()) {
	t.Helper()
	var clients []*client
	for _, l := range append(libraries(), dotnetLibraries(t)...) {
		clients = append(clients, startClient(t, l, s))
	}
	connections := make([][]*restartedConnection, len(clients))
	counts := make([]count, len(clients))
	t.Run("script", func(t *testing.T) {
		for i, c := range clients {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				c.waitReady(t)
				for _, m := range modes {
					if s.plays(c, m) {
						counts[i].add(t.Run(m.String(), func(t *testing.T) { s.play(t, c, m) }))
					}
				}
				connections[i] = s.beforeRestart(t, c, nodes)
			})
		}
	})
	restart()
	t.Run("restart", func(t *testing.T) {
		for i, c := range clients {
			t.Run(c.name, func(t *testing.T) {
				if len(connections[i]) == 0 {
					t.Fatal("the client has no connection")
				}
				for _, l := range connections[i] {
					counts[i].add(t.Run(l.String(), func(t *testing.T) { s.comeBack(t, l) }))
				}
			})
		}
	})
	var lines []string
	for i, c := range clients {
		lines = append(lines, fmt.Sprintf("%s: %d of %d ways and restarts passed", c.name, counts[i].passed, counts[i].all))
	}
	rtetest.Report(t, t.Name(), lines...)
}
