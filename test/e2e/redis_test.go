package e2e

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// TestRedisAwayAtStart starts the node first and Redis later.
func TestRedisAwayAtStart(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	redis.Kill()
	srv := startServer(t, rtetest.Settings{"redis.addresses": redis.Addr, "startup.timeout": "200ms"})

	srv.WaitFor("/readyz to report that Redis is away", func() bool {
		report := srv.Readiness()
		return len(report.Degraded) == 1 && report.Degraded[0].Check == "backplane" && report.Degraded[0].Detail != ""
	})
	if n := srv.Metric("rte_console_degraded", `check="backplane"`); n != 1 {
		t.Errorf("rte_console_degraded is %v, want 1", n)
	}
	srv.WaitFor("the log to report that Redis is away", func() bool {
		for line := range strings.Lines(srv.Log()) {
			if strings.Contains(line, "redis") && strings.Contains(line, `"warn"`) {
				return true
			}
		}
		return false
	})

	c := connect(t, clientOptions{URL: srv.HubURL, Token: mustTokenOfAgent(t, authz.RoleAgent)})
	redis.Start()
	srv.WaitFor("the node to find Redis", func() bool { return len(srv.Readiness().Degraded) == 0 })

	var results []subscriptionResult
	c.mustInvoke(&results, "Subscribe", subscribeTo(ourAgent, "UserStatus"))
	publish(t, redis, lane(ourOrganization), userStatus(ourOrganization, ourAgent, 5))
	if got := c.next().Data["activeQueues"]; got != 5.0 {
		t.Errorf("received event %v, want 5", got)
	}
}

// TestGarbage publishes malformed messages repeatedly to a lane of the node.
func TestGarbage(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	srv := startServer(t, rtetest.Settings{"redis.addresses": redis.Addr, "log.level": "info"})
	c := connect(t, clientOptions{URL: srv.HubURL, Token: mustTokenOfAgent(t, authz.RoleAgent)})
	var results []subscriptionResult
	c.mustInvoke(&results, "Subscribe", subscribeTo(ourAgent, "UserStatus"))

	const rounds = 20
	garbage := map[string][]byte{
		"nothing":           {},
		"text":              []byte("not JSON at all"),
		"half an object":    []byte(`{"EventType":"UserStatus","EntityId":`),
		"an array":          []byte(`[1,2,3]`),
		"a number":          []byte(`42`),
		"null":              []byte(`null`),
		"numbers as ids":    fmt.Appendf(nil, `{"OrganizationId":1,"EntityId":2,"EventType":3,"EntityType":4}`),
		"objects as ids":    fmt.Appendf(nil, `{"OrganizationId":{},"EntityId":[],"EventType":{},"EntityType":null}`),
		"no entity":         fmt.Appendf(nil, `{"OrganizationId":%q,"EventType":"UserStatus"}`, ourOrganization),
		"a megabyte":        bytes.Repeat([]byte{0xfe}, 1<<20),
		"a megabyte nested": bytes.Repeat([]byte{'['}, 1<<20),
		"a megabyte object": fmt.Appendf(nil,
			`{"OrganizationId":%q,"EntityId":%q,"EventType":"UserStatus","EntityType":"User","Note":%q}`,
			ourOrganization, ourAgent, strings.Repeat("x", 1<<20)),
		"a broken position": []byte("#1 nonsense"),
	}
	for range rounds {
		for name, data := range garbage {
			if nodes := publish(t, redis, lane(ourOrganization), data); nodes != 1 {
				t.Fatalf("%s: %d nodes received it, want 1", name, nodes)
			}
		}
	}
	publish(t, redis, lane(ourOrganization), userStatus(ourOrganization, ourAgent, 9))

	if got := c.next().Data["activeQueues"]; got != 9.0 {
		t.Errorf("received %v, want the one event between the garbage", got)
	}
	if got, want := srv.Metric("rte_backplane_refused_total"), float64(rounds*len(garbage)); got != want {
		t.Errorf("%v messages were counted as refused, want %v", got, want)
	}
	lines := 0
	for line := range strings.Lines(srv.Log()) {
		if strings.Contains(line, "refused") {
			lines++
		}
		if len(line) > 2000 || strings.Contains(line, "not JSON at all") {
			t.Errorf("the log quotes what was published: %.200s", line)
		}
	}
	if lines == 0 || lines > 2 {
		t.Errorf("the log has %d lines about %d refused messages, want one per interval", lines, rounds*len(garbage))
	}
	if report := srv.Readiness(); report.State != "ready" || len(report.Degraded) != 0 {
		t.Errorf("/readyz reports %+v", report)
	}
}
