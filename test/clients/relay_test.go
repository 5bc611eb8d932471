package clients

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// establishedOverTLS is established for clients with TLS.
const establishedOverTLS = 16 << 10

// startRelayed starts two nodes that pass requests on to each other, and HAProxy. HAProxy sends each request to the
// next node.
func (s *stage) startRelayed(t *testing.T) (nodes []*rtetest.Server, balancer *rtetest.HAProxy) {
	t.Helper()
	for range 2 {
		nodes = append(nodes, s.startNode(t, rtetest.Settings{
			"relay.listen": "127.0.0.1:0", "shutdown.delay": "1s", "shutdown.drain": "1s",
		}))
	}
	balancer = rtetest.MustStartHAProxy(t, "roundrobin", nodes...)
	s.hubURL, s.certificate = balancer.HubURL, balancer.Certificate
	awaitPeers(nodes)
	return nodes, balancer
}

// announced reports whether a node has notified the others of its connections. Before that, another node takes the new
// socket of a client for a new connection.
func announced(node *rtetest.Server, connections int) bool {
	return node.Metric("rte_transport_redemptions_total", `result="sent"`) == float64(connections)
}

// relayMetric matches the metrics that show why nodes did not find each other's connections.
var relayMetric = regexp.MustCompile(`(?m)^rte_(relay|transport_requests_refused|fanout_resumptions)_.* [^0\n].*$`)

// passed returns the number of clients' sockets that the nodes have passed on to each other.
func passed(nodes []*rtetest.Server) (sum float64) {
	for _, node := range nodes {
		sum += node.Metric("rte_relay_requests_total", `outcome="upgraded"`)
	}
	return sum
}

// The test cuts sockets at random under events and calls: by a reset, by an end, and unnoticed by the node. The load
// balancer reloads, too. The new socket of a client reaches any node. Each client receives each event once and in
// order, each call is answered once, and the application notices nothing.
func TestStatefulReconnect_throughAnyNode(t *testing.T) {
	crowd := resumeCrowd(t)
	size := crowd.each
	s := newStage(t)
	nodes, balancer := s.startRelayed(t)
	proxy := startCutter(t, balancer.Addr)
	proxy.halves = true
	hub := "https://" + proxy.listener.Addr().String() + "/rte"
	agent := s.agent(t)
	var all []func() resumeReport
	for _, version := range resumeVersions {
		all = append(all, s.startResuming(t, version, hub, size, agent))
	}
	for i, report := range all {
		if r := report(); r.Subscribed != size {
			t.Fatalf("client %d: %+v", i, r)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	ctx, cancel := context.WithTimeout(t.Context(), crowd.span)
	defer cancel()
	published, cuts, reloaded := 0, 0, false
	began := time.Now()
	for tick := time.NewTicker(crowd.tick()); ctx.Err() == nil; <-tick.C {
		s.publishFrom(t, agent, published, 5, true)
		published += 5
		if random.IntN(10) == 0 {
			cuts += proxy.cut(random, 0.3, establishedOverTLS)
		}
		if !reloaded && time.Since(began) > crowd.span/2 {
			reloaded = true
			balancer.Reload()
		}
	}
	for i, report := range all {
		var r resumeReport
		nodes[0].WaitLong(rtetest.Patience, "all events have come", func() bool {
			r = report()
			return len(r.Wrong) > 0 || r.Noticed > 0 || slices.Min(r.Received) >= published // a new connection has a gap
		})
		if len(r.Wrong) > 0 || r.Noticed > 0 {
			t.Errorf("client %d: %d events were published, %+v", i, published, r)
		}
	}
	for i, node := range nodes {
		if t.Failed() {
			t.Logf("node %d:\n%s", i, strings.Join(relayMetric.FindAllString(node.Metrics(), -1), "\n"))
		}
	}
	if passed(nodes) == 0 || cuts == 0 {
		t.Errorf("%d cuts, %v sockets were passed on", cuts, passed(nodes))
	}
	t.Logf("%d connections, %d events, %d cuts, %v sockets passed on", len(all)*size, published, cuts, passed(nodes))
}

// The node of some clients dies. They make new connections within two seconds, and get the state that they missed as a
// snapshot.
func TestStatefulReconnect_deadOwner(t *testing.T) {
	const size, longest = 10, 2000
	s := newStage(t)
	nodes, balancer := s.startRelayed(t)
	agent := s.agent(t)
	hub := balancer.HubURL + "?features=snapshot"
	report := s.startResumingTo(t, "10", hub, size, agent, "UserStatus")
	if r := report(); r.Subscribed != size {
		t.Fatalf("%+v", r)
	}
	postStatus(t, nodes[0], agent, 0)
	nodes[0].WaitFor("the first state to arrive", func() bool { return slices.Min(report().Received) == 1 })
	if nodes[0].Metric("rte_hub_sessions_open") == 0 { // each client negotiated with it
		slices.Reverse(nodes)
	}
	owned := int(nodes[0].Metric("rte_hub_sessions_open"))
	nodes[0].Kill()
	postStatus(t, nodes[1], agent, 1)
	var r resumeReport
	nodes[1].WaitFor("all clients to have the state", func() bool {
		r = report()
		return slices.Min(r.Received) == 2 && len(r.Outages) == owned
	})
	if len(r.Wrong) > 0 || owned == 0 || slices.Max(r.Outages) > longest {
		t.Errorf("%d clients of the dead node: %+v", owned, r)
	}
	t.Logf("outages of %d clients in ms: %v", owned, r.Outages)
}

// postStatus publishes a status of an agent over HTTP. Redis keeps it for snapshots.
func postStatus(t *testing.T, node *rtetest.Server, agent string, number int) {
	t.Helper()
	event := fmt.Appendf(nil, `{"RootEntityType":"Organization","RootEntityId":%q,"EventType":"UserStatus",`+
		`"EntityType":"User","EntityId":%q,"MessageTTLSeconds":60,"UserId":%[2]q,"OrganizationId":%[1]q,"Number":%[3]d}`,
		organization, agent, number)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	response, err := client.Post(node.ConsoleURL+"/api/publish", "application/x-ndjson", bytes.NewReader(event))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("publish: %s", response.Status)
	}
}
