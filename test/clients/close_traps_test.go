package clients

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// A client with stateful reconnect tries to continue after every end of its socket, also after a Close message. If the
// server took it back, or did not answer, the client would hang. It must not hang, neither at the node that has its
// connection, nor behind another one.
func TestStatefulReconnect_ends(t *testing.T) {
	const tokenLife = 30 * time.Second
	post := func(path, body string) func(*testing.T, *rtetest.Server) {
		return func(t *testing.T, node *rtetest.Server) {
			t.Helper()
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
			response, err := client.Post(node.ConsoleURL+path, "application/json", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != http.StatusOK {
				t.Fatalf("%s: %s", path, response.Status)
			}
		}
	}
	for name, test := range map[string]struct {
		end   func(t *testing.T, owner *rtetest.Server) // nil: the token ends
		state string                                    // of all clients afterwards
	}{
		"a shed":               {end: post("/api/shed?connections=all&over=1s", ""), state: "Connected"},
		"a drain":              {end: post("/api/drain?over=1s", ""), state: "Connected"},
		"a revocation":         {end: post("/api/revoke", `{"user":"`+agentID(0)+`"}`), state: "Disconnected"},
		"the end of the token": {state: "Connected"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			claims := authz.Claims{
				User: rtetest.MustID(t, agentID(0)), Organization: rtetest.MustID(t, organization), Role: authz.RoleService,
			}
			settings := rtetest.Settings{"relay.listen": "127.0.0.1:0"}
			if test.end == nil {
				t.Setenv("RESUME_NEXT_TOKEN", s.token)
				s.token = rtetest.MustTokenFor(t, claims, tokenLife)
				settings["auth.close_at_expiry"], settings["auth.expiry_grace"] = "true", "0s"
				settings["auth.leeway"] = "0s"
			}
			owner, other := s.startNode(t, settings), s.startNode(t, settings)
			other.WaitFor("the nodes to know each other", func() bool { return other.Metric("rte_node_peers") == 1 })
			proxy, direct := startCutter(t, owner.Host), startCutter(t, owner.Host)
			agent := s.agent(t)
			const size = 2
			var all []func() resumeReport
			for _, version := range []string{"8", "9", "10"} {
				all = append(all, s.startResuming(t, version, proxy.hubURL(), size, agent),
					s.startResuming(t, version, direct.hubURL(), size, agent))
			}
			var before []resumeReport
			for _, report := range all {
				before = append(before, report())
			}
			// The clients behind the proxy continue through the other node.
			owner.WaitFor("the nodes to know the connections", func() bool { return announced(owner, size*len(all)) })
			proxy.node.Store(&other.Host)
			direct.node.Store(&other.Host) // for new connections
			proxy.cut(nil, 1, 0)
			other.WaitFor("the sockets to be passed on", func() bool {
				return other.Metric("rte_relay_passed") == float64(size*len(all)/2)
			})
			for i, report := range all {
				if r := report(); r.Noticed > 0 || !slices.Equal(r.IDs, before[i].IDs) {
					t.Fatalf("client %d before the end: %+v", i, r)
				}
			}
			if test.end != nil {
				test.end(t, owner)
			}
			for i, report := range all {
				var r resumeReport
				other.WaitLong(tokenLife+patience, "all clients to end in state "+test.state, func() bool {
					r = report()
					anew := slices.IndexFunc(r.IDs, func(id string) bool { return slices.Contains(before[i].IDs, id) }) < 0
					return anew && !slices.ContainsFunc(r.States, func(state string) bool { return state != test.state }) &&
						(test.state != "Connected" || len(r.Outages) == size)
				})
				if len(r.Wrong) > 0 || len(r.Outages) > 0 && slices.Max(r.Outages) > 3000 {
					t.Errorf("client %d: %+v", i, r)
				}
			}
		})
	}
}

// A node that drains moves the sockets that it passes on: the clients continue through another node, and notice
// nothing.
func TestStatefulReconnect_drainOfTheOtherNode(t *testing.T) {
	s := newStage(t)
	settings := rtetest.Settings{"relay.listen": "127.0.0.1:0"}
	owner, other := s.startNode(t, settings), s.startNode(t, settings)
	other.WaitFor("the nodes to know each other", func() bool { return other.Metric("rte_node_peers") == 1 })
	proxy := startCutter(t, owner.Host)
	agent := s.agent(t)
	const size = 10
	report := s.startResuming(t, "10", proxy.hubURL(), size, agent)
	before := report()
	owner.WaitFor("the nodes to know the connections", func() bool { return announced(owner, size) })
	proxy.node.Store(&other.Host)
	proxy.cut(nil, 1, 0)
	other.WaitFor("the sockets to be passed on", func() bool { return other.Metric("rte_relay_passed") == size })
	proxy.node.Store(&owner.Host)
	other.Stop()
	s.publishFrom(t, agent, 0, 5, true)
	var r resumeReport
	owner.WaitFor("all events to arrive", func() bool { r = report(); return slices.Min(r.Received) >= 5 })
	if r.Noticed > 0 || len(r.Wrong) > 0 || !slices.Equal(r.IDs, before.IDs) {
		t.Errorf("%+v, before %+v", r, before)
	}
}
