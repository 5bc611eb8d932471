package e2e

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// stormEvent is a line of node/storm.mjs.
type stormEvent struct {
	Event  string
	Client int
	At     int // milliseconds since the beginning
	Error  string
}

// storm is many stock clients in one process. Each is a user of its own.
type storm struct {
	t      *testing.T
	size   int
	events chan stormEvent
}

// startStorm starts clients that connect all at once.
func startStorm(t *testing.T, url string, size int) *storm {
	t.Helper()
	tokens := make([]string, size)
	for i := range tokens {
		tokens[i] = rtetest.MustToken(t, authz.Claims{
			User: events.NewID(), Organization: rtetest.MustID(t, ourOrganization), Role: authz.RoleAgent,
		})
	}
	config, err := json.Marshal(map[string]any{"url": url, "tokens": tokens})
	if err != nil {
		t.Fatal(err)
	}
	s := &storm{t: t, size: size, events: make(chan stormEvent, 8*size)}
	rtetest.MustFollow(t, nodeCommand(t, "storm.mjs", string(config)), func(line []byte) {
		var e stormEvent
		if json.Unmarshal(line, &e) == nil {
			s.events <- e
		}
	})
	return s
}

// await waits until each client has had an event, and returns the times. It fails the test if a client gives up.
func (s *storm) await(event string, limit time.Duration) (at []time.Duration) {
	s.t.Helper()
	for deadline := time.After(limit); len(at) < s.size; {
		select {
		case e := <-s.events:
			switch e.Event {
			case event:
				at = append(at, time.Duration(e.At)*time.Millisecond)
			case "failed", "close":
				s.t.Fatalf("client %d: %s, %s", e.Client, e.Event, e.Error)
			}
		case <-deadline:
			s.t.Fatalf("%s: %d of %d clients in %s", event, len(at), s.size, limit)
		}
	}
	return at
}

// atRate checks the times at which clients came in at a rate per second, all but a burst.
func (s *storm) atRate(at []time.Duration, from time.Duration, rate, burst int) {
	s.t.Helper()
	least := time.Duration(s.size-burst) * time.Second / time.Duration(rate)
	if took := at[len(at)-1] - from; took < least*95/100 {
		s.t.Errorf("%d clients came in within %s, at %d per second they need %s", s.size, took, rate, least)
	}
}

// TestStorm_comesInAtTheRate lets stock clients connect all at once, and then reconnect all at once. TestStorm of
// internal/transport has 10,000 of them, in fake time.
func TestStorm_comesInAtTheRate(t *testing.T) {
	const size, rate, burst = 120, 30, 5
	node := startServer(t, rtetest.Settings{"admission.rate": "30", "admission.burst": "5"})
	clients := startStorm(t, node.HubURL, size)
	at := clients.await("in", 2*time.Minute)
	clients.atRate(at, 0, rate, burst)

	node.Stop()
	node.Start()
	from := clients.await("reconnecting", time.Minute)[0]
	at = clients.await("reconnected", 2*time.Minute)
	clients.atRate(at, from, rate, burst)
	if out := at[len(at)-1] - from; out > 40*time.Second {
		t.Errorf("a client was out for %s", out)
	}
	if n := node.Metric("rte_transport_requests_refused_total"); n != 0 {
		t.Errorf("%v requests were refused", n)
	}
}

// A full node refused clients, and the load balancer passed the refusals on while another node was free.
func TestFullNode_leavesClientsToAnotherNode(t *testing.T) {
	const size, places = 60, 20
	redis := rtetest.MustStartRedis(t)
	full := startServer(t, rtetest.Settings{"redis.addresses": redis.Addr, "limits.connections": "20"})
	free := startServer(t, rtetest.Settings{"redis.addresses": redis.Addr})
	balancer := rtetest.MustStartHAProxy(t, "roundrobin", full, free)
	clients := startStorm(t, balancer.HubURL, size)
	at := clients.await("in", time.Minute)
	if last := at[len(at)-1]; last > 30*time.Second {
		t.Errorf("a client was out for %s", last)
	}
	for node, want := range map[*rtetest.Server]float64{full: places, free: size - places} {
		if n := node.Metric("rte_hub_sessions_open"); n != want {
			t.Errorf("%v sessions, want %v", n, want)
		}
	}
}
