//go:build faults

package clients

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// A JavaScript client that got nothing for its server timeout gives its connection up. Nevertheless it opens another
// socket for it, on which it sends nothing, and takes every message on it for the answer to the handshake of its next
// connection. The server must send none there, and must not end that socket: the client would give its next connection
// up, too. Each client reconnects once and stays. The client's server timeout is shorter than the pauses of a busy
// machine: make resume runs this test.
func TestStatefulReconnect_aSilentServer(t *testing.T) {
	const (
		size          = 4
		serverTimeout = 3 * time.Second
	)
	t.Setenv("RESUME_SERVER_TIMEOUT", fmt.Sprint(serverTimeout.Milliseconds()))
	for name, timeout := range map[string]func(t *testing.T, node *rtetest.Server, proxy *cutter){
		// The node does not notice, and the client's Close frame is lost.
		"a dead network": func(_ *testing.T, _ *rtetest.Server, proxy *cutter) { proxy.freeze() },
		// The node finds the Close frame and the next socket at the same time.
		"a stopped node": func(t *testing.T, node *rtetest.Server, _ *cutter) {
			t.Helper()
			if err := syscall.Kill(node.PID(), syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			time.Sleep(serverTimeout + time.Second)
			if err := syscall.Kill(node.PID(), syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			node := s.startNode(t, rtetest.Settings{"timeouts.keep_alive": "500ms", "timeouts.handshake": "1s"})
			proxy := startCutter(t, node.Host)
			agent := s.agent(t)
			var all []func() resumeReport
			for _, version := range resumeVersions {
				all = append(all, s.startResuming(t, version, proxy.hubURL(), size, agent))
			}
			for i, report := range all {
				if r := report(); r.Subscribed != size {
					t.Fatalf("client %d: %+v", i, r)
				}
			}
			published := 0
			publish := func() {
				t.Helper()
				s.publishFrom(t, agent, published, 5, true)
				published += 5
				for i, report := range all {
					var r resumeReport
					node.WaitFor("all events to arrive", func() bool {
						r = report()
						return slices.Min(r.Received) >= published || len(r.Wrong) > 0
					})
					if len(r.Wrong) > 0 {
						t.Fatalf("client %d: %+v", i, r)
					}
				}
			}
			publish()
			timeout(t, node, proxy)
			for i, report := range all {
				node.WaitFor("all clients to have reconnected", func() bool { return len(report().Outages) == size })
				t.Logf("client %d: %+v", i, report())
			}
			for began := time.Now(); time.Since(began) < 3*serverTimeout; time.Sleep(100 * time.Millisecond) {
				publish()
			}
			for i, report := range all {
				if r := report(); r.Noticed != size || len(r.Outages) != size {
					t.Errorf("client %d: %+v, want one reconnect of each", i, r)
				}
			}
		})
	}
}
