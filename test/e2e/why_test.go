package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/console"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// why is a deployment of two nodes. Clients connect to the first; requests go to the second, which has no client.
type why struct {
	t      *testing.T
	redis  *rtetest.Redis
	proxy  *rtetest.Proxy // between the first node and Redis
	first  *rtetest.Server
	second *rtetest.Server
}

// run runs a subtest.
func (w *why) run(name string, test func(t *testing.T)) {
	w.t.Run(name, func(t *testing.T) {
		outer := w.t
		w.t = t
		defer func() { w.t = outer }()
		test(t)
	})
}

// waitFor polls until condition holds.
func (w *why) waitFor(what string, condition func() bool) {
	w.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(rtetest.Patience); !condition(); <-tick.C {
		if time.Now().After(deadline) {
			w.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// newID returns a GUID.
func newID() string { return events.NewID().String() }

// tokenOf signs a token of a user of our organization, unless another one is given.
func (w *why) tokenOf(user string, role authz.Role, organization ...string) string {
	w.t.Helper()
	return rtetest.MustToken(w.t, authz.Claims{
		User:         rtetest.MustID(w.t, user),
		Organization: rtetest.MustID(w.t, append(organization, ourOrganization)[0]), Role: role,
	})
}

// raw connects a user and subscribes to events of an entity. The client reads nothing later.
func (w *why) raw(user, entity string, names ...string) *rawClient {
	w.t.Helper()
	c := dialRaw(w.t, w.first, w.tokenOf(user, authz.RoleSupervisor), 4096)
	for _, name := range names {
		c.subscribe(entity, name)
	}
	return c
}

func (c *rawClient) subscribe(entity, name string) {
	c.t.Helper()
	c.send(fmt.Sprintf(`{"type":1,"invocationId":"0","target":"Subscribe",`+
		`"arguments":[[{"EntityId":%q,"EventName":%q}]]}`, entity, name))
	c.until(`"subscribed":true`)
}

// event makes an event of a user with further properties as JSON.
func event(id, entity, name, more string) []byte {
	return fmt.Appendf(nil, `{"Id":%q,"OrganizationId":%q,"EventType":%q,"EntityType":"User","EntityId":%q%s}`,
		id, ourOrganization, name, entity, more)
}

// publish publishes an event and returns its id.
func (w *why) publish(entity, name, more string) string {
	w.t.Helper()
	id := newID()
	publish(w.t, w.redis, lane(ourOrganization), event(id, entity, name, more))
	return id
}

// about asks a node about an event and a user.
func (w *why) about(node *rtetest.Server, id, user string) (t console.EventTrace) {
	w.t.Helper()
	getJSON(w.t, node.ConsoleURL+"/api/events/"+id+"?user="+user, &t)
	if t.Conclusion == nil || len(t.Nodes) == 0 {
		w.t.Fatalf("answer %+v", t)
	}
	return t
}

// getJSON reads a JSON document of the operator port.
func getJSON(t *testing.T, url string, into any) {
	t.Helper()
	response, err := httpClient.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v", url, response.Status, err)
	}
}

// await asks the second node until it has an answer with the code, and checks that the first one gives the same.
func (w *why) await(id, user, code string) console.Conclusion {
	w.t.Helper()
	var v console.Conclusion
	w.waitFor("the reason "+code, func() bool {
		trace := w.about(w.second, id, user)
		v = *trace.Conclusion
		return v.Code == code && len(trace.Nodes) == 2
	})
	if v.Delivered || !strings.HasPrefix(v.Text, "not delivered: ") {
		w.t.Errorf("conclusion %+v", v)
	}
	if own := *w.about(w.first, id, user).Conclusion; own != v {
		w.t.Errorf("the node of the client says %+v, the other one %+v", own, v)
	}
	return v
}

// fill publishes calls to a client that does not read until its socket is full.
func (w *why) fill(entity string) {
	w.t.Helper()
	note := `,"Note":"` + strings.Repeat("x", 16<<10) + `"`
	w.waitFor("a full socket", func() bool {
		for range 20 {
			w.publish(entity, "UserCallInArrived", note)
		}
		return w.first.Metric("rte_fanout_outboxes_full") == 1
	})
}

// TestWhy publishes events that a client does not get, for ten reasons, and asks a node that has nothing to do with it.
func TestWhy(t *testing.T) {
	w := &why{t: t, redis: rtetest.MustStartRedis(t)}
	w.proxy = rtetest.MustStartProxy(t, w.redis.Addr)
	w.first = startServer(t, rtetest.Settings{
		"redis.addresses": w.proxy.Addr, "limits.outbox_bytes": "1048576", "timeouts.send": "60s", "resync.window": "1s",
		"resync.close_window": "1s", "timeouts.unconfirmed": "2m",
	})
	w.second = startServer(t, rtetest.Settings{"redis.addresses": w.redis.Addr})
	w.waitFor("the nodes to know each other", func() bool {
		var list console.EventList
		getJSON(t, w.second.ConsoleURL+"/api/events", &list)
		return len(list.Answered) == 2
	})
	watcher, watched := newID(), newID()
	reads := w.raw(watcher, watched, "UserStatus")

	w.run("delivered", func(t *testing.T) {
		id := w.publish(watched, "UserStatus", "")
		reads.until(id)
		v := *w.about(w.second, id, watcher).Conclusion
		if !v.Delivered || v.Code != "sent" || !strings.Contains(v.Text, "delivered: sent to connection ") {
			t.Errorf("conclusion %+v", v)
		}
	})
	w.run("not connected", func(t *testing.T) {
		w.await(w.publish(watched, "UserStatus", ""), newID(), "not_connected")
	})
	w.run("not subscribed", func(t *testing.T) {
		user := newID()
		w.raw(user, watched, "UserCallInArrived")
		w.await(w.publish(watched, "UserStatus", ""), user, "not_subscribed")
	})
	w.run("refused by the policy", func(t *testing.T) {
		user := newID()
		c := dialRaw(t, w.first, w.tokenOf(user, authz.RoleAgent), 0)
		c.send(fmt.Sprintf(`{"type":1,"invocationId":"0","target":"Subscribe",`+
			`"arguments":[[{"EntityId":%q,"EventName":"UserWrapUpEnabled"}]]}`, watched))
		c.until(`"subscribed":false`)
		v := w.await(w.publish(watched, "UserWrapUpEnabled", ""), user, "refused_by_policy")
		if !strings.Contains(v.Text, "policy: no rule allows it") {
			t.Errorf("conclusion %+v", v)
		}
	})
	w.run("foreign organization", func(t *testing.T) {
		user := newID()
		c := dialRaw(t, w.first, w.tokenOf(user, authz.RoleSupervisor, theirOrganization), 0)
		c.subscribe(watched, "UserStatus") // in their own organization: with these claims the directory knows no better
		w.await(w.publish(watched, "UserStatus", ""), user, "foreign_organization")
	})
	w.run("subscribed later", func(t *testing.T) {
		user := newID()
		c := w.raw(user, watched)
		id := w.publish(watched, "UserStatus", "")
		w.await(id, user, "not_subscribed")
		c.subscribe(watched, "UserStatus")
		v := w.await(id, user, "subscribed_later")
		if !strings.Contains(v.Text, "the subscription of that connection began ") {
			t.Errorf("conclusion %+v", v)
		}
	})
	w.run("unsubscribed earlier", func(t *testing.T) {
		user := newID()
		c := w.raw(user, watched, "UserStatus")
		c.send(`{"type":1,"invocationId":"1","target":"UnsubscribeAll","arguments":[]}`)
		c.until(`"invocationId":"1"`)
		w.await(w.publish(watched, "UserStatus", ""), user, "unsubscribed_earlier")
	})
	w.run("expired", func(t *testing.T) {
		w.await(w.publish(watched, "UserStatus", `,"MessageTTLSeconds":1,"Timestamp":"2020-01-01T00:00:00Z"`),
			watcher, "expired")
	})
	w.run("malformed", func(t *testing.T) {
		id := newID()
		publish(t, w.redis, lane(ourOrganization), event(id, watched, "UserStatus", `,"MessageTTLSeconds":`)[:200])
		v := w.await(id, watcher, "refused")
		if !strings.Contains(v.Text, "refused the message: not_json") {
			t.Errorf("conclusion %+v", v)
		}
	})
	w.run("conflated", func(t *testing.T) {
		user, entity := newID(), newID()
		c := w.raw(user, entity, "UserCallInArrived", "UserStatus")
		w.fill(entity)
		older, newer := w.publish(entity, "UserStatus", ""), w.publish(entity, "UserStatus", "")
		v := w.await(older, user, "conflated")
		if !strings.Contains(v.Text, "the newer state "+newer+" replaced it") {
			t.Errorf("conclusion %+v", v)
		}
		c.conn.Close()
	})
	w.run("slow and closed", func(t *testing.T) {
		w.waitFor("the socket before to be closed", func() bool {
			return w.first.Metric("rte_fanout_outboxes_full") == 0
		})
		user, entity := newID(), newID()
		w.raw(user, entity, "UserCallInArrived")
		w.fill(entity)
		waits := w.publish(entity, "UserCallInArrived", "")
		note := `,"Note":"` + strings.Repeat("x", 60<<10) + `"`
		w.waitFor("the client to be closed", func() bool {
			w.publish(entity, "UserCallInArrived", note)
			return w.first.Metric("rte_fanout_dropped_total", `reason="slow"`) > 0
		})
		w.await(waits, user, "slow")
		v := w.await(w.publish(entity, "UserCallInArrived", ""), user, "disconnected_earlier")
		if !strings.Contains(v.Text, "had ended (slow)") {
			t.Errorf("conclusion %+v", v)
		}
	})
	w.run("lost by Redis and notified", func(t *testing.T) {
		w.proxy.Refuse(true)
		w.proxy.Cut()
		w.waitFor("Redis to be away", func() bool { return len(w.first.Readiness().Degraded) > 0 })
		id := w.publish(watched, "UserStatus", "")
		w.proxy.Refuse(false)
		v := w.await(id, watcher, "lost")
		if !strings.Contains(v.Text, "outage") || !strings.Contains(v.Text, "closed so that its client loads") {
			t.Errorf("conclusion %+v", v)
		}
	})
	w.run("as a command", func(t *testing.T) {
		id, user := w.publish(watched, "UserStatus", ""), newID()
		w.await(id, user, "not_connected")
		for _, args := range [][]string{{"--event", id, "--user", user}, {"--entity", watched, "--user", user}} {
			cmd := exec.CommandContext(t.Context(), programs.MustBuild(t, "node"),
				append([]string{"why", "--url", w.second.ConsoleURL}, args...)...)
			cmd.Env = rtetest.Unconfigured(os.Environ())
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "not delivered: the user had no connection") {
				t.Errorf("why %v: %v\n%s", args, err, out)
			}
		}
	})
	w.run("one view of all nodes", func(t *testing.T) { w.oneView(watched) })
	// Last, as it takes the time after which a silent node is given up.
	w.run("a node does not answer", func(t *testing.T) {
		w.proxy.Refuse(true)
		w.proxy.Cut()
		began := time.Now()
		var trace console.EventTrace
		getJSON(t, w.second.ConsoleURL+"/api/events/"+newID()+"?user="+newID(), &trace)
		if len(trace.Unanswered) != 1 || trace.Unanswered[0].Detail != "did not answer in time" {
			t.Errorf("after %s: %+v", time.Since(began), trace)
		}
		w.proxy.Refuse(false)
	})
}

// oneView asks the second node about the clients of the first one.
func (w *why) oneView(watched string) {
	t, base := w.t, w.second.ConsoleURL
	var own, all console.ConnectionList
	user := newID()
	c := w.raw(user, watched, "UserStatus")
	getJSON(t, base+"/api/connections?user="+user, &own)
	getJSON(t, base+"/api/connections?nodes=all&protocol=json&slow=false&user="+user, &all)
	if len(own.Connections) != 0 || own.Nodes != nil || len(all.Connections) != 1 || all.Matching != 1 ||
		len(all.Nodes.Answered) != 2 || all.Connections[0].User != user || all.Connections[0].Node == "" {
		t.Fatalf("connections of this node %+v, of all %+v", own, all)
	}
	var detail console.ConnectionDetail
	getJSON(t, base+"/api/connections/"+all.Connections[0].ID, &detail)
	if detail.User != user || len(detail.List) != 1 || detail.List[0].EntityID != watched {
		t.Errorf("detail %+v", detail)
	}
	for range 4 {
		w.raw(newID(), watched, "UserStatus")
	}
	seen, after := map[string]bool{}, ""
	for page := 0; page == 0 || after != ""; page++ {
		var list console.ConnectionList
		getJSON(t, base+"/api/connections?nodes=all&limit=2&after="+after, &list)
		for _, c := range list.Connections {
			if seen[c.ID] {
				t.Fatalf("connection %s is on two pages", c.ID)
			}
			seen[c.ID] = true
		}
		after = list.Next
	}
	var open console.ConnectionList
	getJSON(t, base+"/api/connections?nodes=all", &open)
	if len(seen) != open.Open || len(seen) < 3 {
		t.Errorf("%d connections on the pages, %d are open", len(seen), open.Open)
	}
	var slowest console.ConnectionList
	getJSON(t, base+"/api/connections?nodes=all&order=delay&limit=1", &slowest)
	if len(slowest.Connections) != 1 || slowest.Next != "" || slowest.Matching != open.Open {
		t.Errorf("slowest connections %+v", slowest)
	}
	var uses console.OrganizationList
	w.publish(watched, "UserStatus", "")
	w.waitFor("the event in the list of organizations", func() bool {
		uses = console.OrganizationList{}
		getJSON(t, base+"/api/organizations?nodes=all&order=connections&organization="+ourOrganization, &uses)
		return len(uses.Organizations) == 1 && uses.Organizations[0].Deliveries > 0
	})
	if use := uses.Organizations[0]; use.Connections != open.Open || use.Events == 0 || len(uses.Nodes.Answered) != 2 {
		t.Errorf("organizations %+v", uses)
	}
	var overview console.Overview
	getJSON(t, base+"/api/overview?nodes=all", &overview)
	if len(overview.Nodes) != 2 || overview.Nodes[1].Sessions != open.Open || !overview.Nodes[0].Redis.Connected ||
		overview.Nodes[1].Totals.Matched == 0 || len(overview.Known) != 2 || overview.Nodes[1].Descriptors == 0 {
		t.Errorf("overview %+v", overview)
	}
	var topics console.TopicList
	getJSON(t, base+"/api/topics?nodes=all&entity="+watched, &topics)
	if len(topics.Topics) == 0 || topics.Topics[0].Subscribers < 1 || topics.Topics[0].Type == "" {
		t.Errorf("topics %+v", topics)
	}
	var explanation console.Explanation
	getJSON(t, base+"/api/explain?nodes=all&event=UserStatus&user="+user+"&entity="+watched, &explanation)
	if explanation.Source != "connection" || !explanation.Allowed {
		t.Errorf("explanation %+v", explanation)
	}
	dry := string(event(newID(), watched, "UserStatus", ""))
	for who, want := range map[string]string{user: "would receive it", newID(): "it has no connection"} {
		cmd := exec.CommandContext(t.Context(), programs.MustBuild(t, "node"), "why", "--url", base, "--dry-run", dry,
			"--user", who)
		cmd.Env = rtetest.Unconfigured(os.Environ())
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), want) {
			t.Errorf("dry run: %v\n%s", err, out)
		}
	}
	w.publish(watched, "UserCallInArrived", "") // the dry run has sent nothing
	c.conn.Close()
}
