package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/console"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// nodes returns the answer of /api/nodes.
func (p *running) nodes() []console.PeerNode {
	p.t.Helper()
	_, answer := fetch(p.t, "GET", p.operators+"/api/nodes")
	var list console.NodeList
	if err := json.Unmarshal([]byte(answer), &list); err != nil {
		p.t.Fatalf("/api/nodes: %s", answer)
	}
	return list.Nodes
}

// state returns the state of /readyz.
func (p *running) state() string {
	p.t.Helper()
	_, answer := fetch(p.t, "GET", p.operators+"/readyz")
	var report console.Report
	if err := json.Unmarshal([]byte(answer), &report); err != nil {
		p.t.Fatalf("/readyz: %s", answer)
	}
	return report.State
}

func TestDrain_byOperator(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	p := start(t, serveArgs("--redis.addresses="+redis.Addr)...)
	other := start(t, serveArgs("--redis.addresses="+redis.Addr)...)
	token := mustServiceToken(t, testOrganization)
	stock, notified := p.connect(token, ""), p.connect(token, "?features=notices")
	eventually(t, "the nodes to know each other", func() bool {
		own, others := p.nodes(), other.nodes()
		return len(own) == 2 && len(others) == 2 && others[0].State == "ready" && own[0].ID == others[1].ID
	})

	// The first client may have gone before the first line.
	if got := mustCommand(t, "", "drain", "--over=2s", "--wait", "--url="+p.operators); !strings.HasPrefix(
		got, "drain: ",
	) || !strings.HasSuffix(got, "drain: 0 connections, 2 leave over 2s\n") {
		t.Errorf("drain printed %q", got)
	}
	stock.expect(`{"type":7,"allowReconnect":true}`)
	notified.expect(`"target":"Closing","arguments":[{"reason":"drain","at":"`)
	notified.expect(`{"type":7,"allowReconnect":true}`)
	if state := p.state(); state != "draining" {
		t.Errorf("the state is %q", state)
	}
	negotiate := func() int {
		status, _ := fetch(t, "POST", p.clients+"/rte/negotiate?negotiateVersion=1", "Authorization", "Bearer "+token)
		return status
	}
	if status := negotiate(); status != 503 {
		t.Errorf("a node that is drained answers %d", status)
	}
	eventually(t, "the other node to know it", func() bool {
		others := other.nodes()
		return len(others) == 2 && others[1].State == "draining" && other.metric(`rte_node_peers{state="draining"}`) == "1"
	})
	if status, answer := p.post("/api/shed?connections=1", ""); status != 400 || !strings.Contains(answer, "already") {
		t.Errorf("shed during a drain: %d %s", status, answer)
	}
	if got := mustCommand(t, "", "drain", "--cancel", "--url="+p.operators); got != "none: 0 connections\n" {
		t.Errorf("drain --cancel printed %q", got)
	}
	if state, status := p.state(), negotiate(); state != "ready" || status != 200 {
		t.Errorf("after the end of the drain the state is %q, negotiate answers %d", state, status)
	}
	p.connect(token, "")
	if n := p.metric(`rte_hub_sessions_closed_total{reason="drain"}`); n != "2" {
		t.Errorf("%s sessions are counted", n)
	}
}

func TestShed_byOperator(t *testing.T) {
	p := start(t, serveArgs()...)
	token := mustServiceToken(t, testOrganization)
	for range 10 {
		p.connect(token, "")
	}
	got := mustCommand(t, "", "shed", "--connections=4", "--over=1s", "--wait", "--url="+p.operators)
	if !strings.Contains(got, "connections, 4 leave over 1s\n") || !strings.HasSuffix(got, "none: 6 connections\n") {
		t.Errorf("shed printed %q", got)
	}
	if n := p.metric(`rte_hub_sessions_closed_total{reason="shed"}`); n != "4" {
		t.Errorf("%s sessions are counted", n)
	}
	if state := p.state(); state != "ready" {
		t.Errorf("the state is %q", state)
	}
	p.connect(token, "")
	// The answer to the handshake comes before the session is listed.
	eventually(t, "the last session", func() bool { return p.metric("rte_hub_sessions_open") == "7" })

	if status, answer := p.post("/api/shed?connections=all&over=1h", ""); status != 200 || !strings.Contains(
		answer, `"leaving":7,"overSeconds":3600`,
	) {
		t.Errorf("shed: %d %s", status, answer)
	}
	if n := p.metric(`rte_node_leaving_connections{action="shed"}`); n != "7" {
		t.Errorf("%s connections are leaving", n)
	}
	if got := mustCommand(t, "", "shed", "--cancel", "--url="+p.operators); !strings.HasPrefix(got, "none: ") {
		t.Errorf("shed --cancel printed %q", got)
	}
	for _, wrong := range []string{"", "?connections=0", "?connections=x", "?connections=1&over=2h", "?connection=1"} {
		if status, answer := p.post("/api/shed"+wrong, ""); status != 400 {
			t.Errorf("shed%s: %d %s", wrong, status, answer)
		}
	}
	// A stop ends a shed and a drain that are under way.
	if status, answer := p.post("/api/drain?over=1h", ""); status != 200 {
		t.Errorf("drain: %d %s", status, answer)
	}
}

// A drain sent clients to nodes without Redis, where they stayed without subscriptions.
func TestDrain_waitsForRedis(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	proxy := rtetest.MustStartProxy(t, redis.Addr)
	p := start(t, serveArgs("--redis.addresses="+proxy.Addr, "--shutdown.wait=1h", "--shutdown.timeout=2h")...)
	c := p.connect(mustServiceToken(t, testOrganization), "")
	proxy.Refuse(true)
	proxy.Cut()
	eventually(t, "the node to notice that Redis is away", func() bool {
		return p.metric(`rte_console_degraded{check="backplane"}`) == "1"
	})
	if status, answer := p.post("/api/drain?over=1s", ""); status != 200 {
		t.Fatalf("drain: %d %s", status, answer)
	}
	eventually(t, "the drain to wait", func() bool {
		_, answer := fetch(t, "GET", p.operators+"/api/drain")
		return p.metric("rte_node_drain_held") == "1" && strings.Contains(answer, `"held":"Redis is away"`)
	})
	c.subscribe(testUser, "UserStatus") // still served
	proxy.Refuse(false)
	for got := ""; !strings.HasPrefix(got, `{"type":7`); {
		if got = c.next(); !strings.HasPrefix(got, "{") {
			t.Fatalf("the connection ended: %s", got)
		}
	}
	eventually(t, "the drain to end", func() bool { return p.metric("rte_node_drain_held") == "0" })
}

// After a rolling restart the nodes had 1500, 1500 and 0 connections.
func TestRebalance_movesConnections(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	args := serveArgs("--redis.addresses="+redis.Addr, "--rebalance.least=2", "--rebalance.after=1s")
	full, empty := start(t, append(args, "--rebalance.enabled")...), start(t, args...)
	token := mustServiceToken(t, testOrganization)
	for range 10 {
		full.connect(token, "")
	}
	eventually(t, "the full node to move a tenth", func() bool {
		return full.metric(`rte_hub_sessions_closed_total{reason="shed"}`) == "1"
	})
	eventually(t, "the log to report it", func() bool {
		return strings.Contains(full.output.text(), "far more connections than the others")
	})
	eventually(t, "both nodes to know the surplus", func() bool {
		nodes := empty.nodes()
		return full.metric("rte_node_excess_connections") == "4" && len(nodes) == 2 && nodes[1].Connections == 9
	})
	if n := empty.metric("rte_node_excess_connections"); n != "0" {
		t.Errorf("the empty node has a surplus of %s", n)
	}
}
