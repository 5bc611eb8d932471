package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// guest is a client of an organization that follows a user and comes again when it is asked to.
type guest struct {
	p                   *running
	organization, query string
	*client
}

// guests connects six clients of each organization, half of them with notices, and subscribes them.
func guests(p *running, organizations ...string) (all []*guest) {
	p.t.Helper()
	for _, organization := range organizations {
		for i := range 6 {
			g := &guest{p: p, organization: organization, query: []string{"", "?features=notices"}[i%2]}
			g.come()
			all = append(all, g)
		}
	}
	return all
}

// come connects and subscribes, which succeeds even if Redis is away.
func (g *guest) come() {
	g.p.t.Helper()
	g.client = g.p.connect(testToken(g.p.t, g.organization), g.query)
	if answer := g.subscribe(testUser, "UserStatus"); !strings.Contains(answer, `"subscribed":true`) {
		g.p.t.Errorf("subscribe: %s", answer)
	}
}

// learns fails unless the client learns that it may have missed events.
func (g *guest) learns() {
	g.p.t.Helper()
	if g.query != "" {
		g.expect(`"target":"Resync"`)
		return
	}
	g.expect(`{"type":7,"allowReconnect":true}`)
	g.come()
}

func testToken(t *testing.T, organization string) string {
	t.Helper()
	return strings.TrimSpace(mustCommand(t, "", "token", "--user", testUser, "--org", organization))
}

// After an outage of Redis, clients that had subscribed during it stayed connected without subscriptions, and without
// an event for good. Clients of lanes that the node held, and of new ones, subscribe while Redis is frozen and while it
// is killed: each is answered at once, learns afterwards that events may be missing, and receives the next event.
func TestServe_subscribesWhileRedisIsAway(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	writer := newDirectoryWriter(t, redis)
	p := start(t, serveArgs("--redis.addresses="+redis.Addr, "--resync.window=500ms", "--resync.close_window=500ms",
		"--redis.probe_interval=100ms", "--redis.probe_timeout=2s")...)
	ready := func(want string) {
		t.Helper()
		eventually(t, want, func() bool {
			_, body := fetch(t, "GET", p.operators+"/readyz")
			return strings.Contains(body, `"backplane"`) == (want == "degraded")
		})
	}
	ready("connected")
	all := guests(p, testOrganization)
	for _, fault := range []struct {
		name         string
		begin, end   func()
		organization string // whose lane the node does not hold yet
	}{
		{"frozen", redis.Freeze, redis.Thaw, otherOrganization},
		{"killed", redis.Kill, redis.Start, "aa9eeb03-ff4b-ea11-ac9c-00155d4fdcf3"},
	} {
		fault.begin()
		ready("degraded")
		all = append(all, guests(p, testOrganization, fault.organization)...)
		fault.end()
		for _, g := range all {
			g.learns()
		}
		ready("connected")
		eventually(t, "every client has its subscription", func() bool {
			return p.metric("rte_hub_subscriptions_active") == fmt.Sprint(len(all))
		})
		published := map[string]bool{}
		for _, g := range all {
			if !published[g.organization] {
				writer.notify("rte:org:"+g.organization, fmt.Sprintf(
					`{"RootEntityType":"Organization","RootEntityId":%q,"OrganizationId":%[1]q,"EventType":"UserStatus",`+
						`"EntityType":"User","EntityId":%q,"MessageTTLSeconds":60}`, g.organization, testUser))
			}
			published[g.organization] = true
			g.expect(`"eventType":"UserStatus"`)
		}
	}
	if n := p.metric("rte_hub_sessions_without_subscriptions"); n != "0" {
		t.Errorf("%s sessions have no subscription", n)
	}
	if n := p.metric("rte_backplane_acquired_in_doubt_total"); n == "0" {
		t.Error("no lane was acquired in doubt")
	}
	p.stop()
	redis.Kill() // the process was started after the program, and would count as a leak of it
}

// A client that subscribed while the directory in Redis was away is asked to come again, and with notices to subscribe
// again, when the directory answers.
func TestServe_notifiesWhenTheDirectoryAnswers(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	writer := newDirectoryWriter(t, redis)
	writer.put(testUser, fmt.Sprintf(`{"kind":"User","organization":%q}`, testOrganization))
	proxy := rtetest.MustStartProxy(t, redis.Addr)
	p := start(t, serveArgs("--redis.addresses="+proxy.Addr, "--directory.kind=redis", "--resync.window=500ms",
		"--resync.close_window=500ms")...)
	proxy.Refuse(true)
	proxy.Cut()
	token := testToken(t, testOrganization)
	stock, notified := p.connect(token, ""), p.connect(token, "?features=notices")
	for _, c := range []*client{stock, notified} {
		if answer := c.subscribe(testUser, "UserStatus"); !strings.Contains(answer, "Temporarily unavailable") {
			t.Errorf("while the directory is away: %s", answer)
		}
	}
	if n := p.metric("rte_hub_sessions_undecided"); n != "2" {
		t.Errorf("%s sessions are undecided", n)
	}
	proxy.Refuse(false)
	stock.expect(`{"type":7,"allowReconnect":true}`)
	notice := notified.next()
	for _, want := range []string{`"target":"Resync"`, `"reason":"unavailable"`, `"total":0,"subscriptions":[]`} {
		if !strings.Contains(notice, want) {
			t.Errorf("no %s in %s", want, notice)
		}
	}
	if answer := notified.subscribe(testUser, "UserStatus"); !strings.Contains(answer, `"subscribed":true`) {
		t.Errorf("afterwards: %s", answer)
	}
	if n := p.metric("rte_hub_sessions_undecided"); n != "0" {
		t.Errorf("%s sessions are undecided", n)
	}
}
