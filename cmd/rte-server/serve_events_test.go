package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// TestServe_deliversKnownAndFreshEvents publishes good and bad events to Redis. Known and fresh events reach the
// client. Late, unknown and malformed ones are counted, and those that a publisher must repair are quarantined.
func TestServe_deliversKnownAndFreshEvents(t *testing.T) {
	catalog := filepath.Join(t.TempDir(), "events.yaml")
	if err := os.WriteFile(
		catalog, []byte("events: [{name: ParcelLost, kind: User, ttlSeconds: -1}]"), 0o600,
	); err != nil {
		t.Fatal(err)
	}
	redis := rtetest.MustStartRedis(t)
	p := start(
		t, serveArgs("--redis.addresses="+redis.Addr, "--events.catalog_file="+catalog, "--events.validation=all")...,
	)

	tapped := make(chan string, 1)
	go func() {
		stdout, stderr, err := command(t, "", "tap", "--url", p.clients+"/rte", "--token", mustServiceToken(
			t, testOrganization,
		),
			"--count=2", testUser+":ParcelLost", testUser+":UserStatus")
		if err != nil {
			stdout = fmt.Sprint(err, stderr)
		}
		tapped <- stdout
	}()
	eventually(t, "the subscriptions", func() bool { return p.metric("rte_hub_subscriptions_active") == "2" })

	event := func(name string, made time.Time, more string) string {
		return fmt.Sprintf(`{"RootEntityType":"Organization","RootEntityId":%q,"OrganizationId":%q,"EventType":%q,`+
			`"EntityType":"User",`+
			`"EntityId":%q,"Id":%q,"Timestamp":%q,"MessageTTLSeconds":60%s}`,
			testOrganization, testOrganization, name, testUser, events.NewID(), made.UTC().Format(time.RFC3339), more)
	}
	redisClient := redis.Client()
	defer redisClient.Close()
	for _, message := range []string{
		event("UserStatus", time.Now().Add(-2*time.Minute), `,"Note":"too late"`),
		event("NoSuchEvent", time.Now(), ""),
		event("UserStatus", time.Now(), `,"Talking":"perhaps"`), // differs from the catalog and is delivered
		"{",
		event("ParcelLost", time.Now().Add(-time.Second), ""),
	} {
		if err := redisClient.Publish(t.Context(), "rte:org:"+testOrganization, message).Err(); err != nil {
			t.Fatal(err)
		}
	}

	got := <-tapped
	if !strings.Contains(got, `"talking":"perhaps"`) || !strings.Contains(got, "ParcelLost") ||
		strings.Contains(got, "too late") {
		t.Errorf("the client got\n%s", got)
	}
	for metric, want := range map[string]string{
		`rte_fanout_events_total{outcome="expired"}`:          "1",
		`rte_fanout_events_total{outcome="heard"}`:            "2",
		`rte_backplane_refused_total{reason="unknown_event"}`: "1",
		`rte_backplane_refused_total{reason="not_json"}`:      "1",
	} {
		eventually(t, metric+" to be "+want, func() bool { return p.metric(metric) == want })
	}
	status, body := fetch(t, http.MethodGet, p.operators+"/api/quarantine")
	var kept []events.Quarantined
	if err := json.Unmarshal([]byte(body), &kept); status != http.StatusOK || err != nil {
		t.Fatalf("quarantine: %d %v", status, err)
	}
	reasons := map[string]int{}
	for _, q := range kept {
		reasons[q.Reason]++
	}
	if reasons["unknown_event"] != 1 || reasons["not_json"] != 1 || len(kept) < 3 {
		t.Errorf("in quarantine: %v", reasons)
	}
	if log := p.output.text(); strings.Contains(log, "perhaps") || strings.Contains(log, "too late") {
		t.Errorf("payload in the log\n%s", log)
	}
}

// TestServe_refusesBadCatalog checks that a catalog that cannot be read stops the start and names the key.
func TestServe_refusesBadCatalog(t *testing.T) {
	file := filepath.Join(t.TempDir(), "events.yaml")
	if err := os.WriteFile(file, []byte("events: [{name: UserStatus, kind: User, ttlSeconds: 1}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, file + ".missing"} {
		_, stderr, err := command(t, "", serveArgs("--events.catalog_file="+path)...)
		if err == nil || !strings.Contains(stderr, "events.catalog_file") {
			t.Errorf("ended with %v\n%s", err, stderr)
		}
	}
}

// TestServe_LargeEvents publishes events of nearly events.max_bytes, in a burst and in every way. The subscriber of
// Redis refused all messages above 1 MiB, whatever events.max_bytes was.
func TestServe_LargeEvents(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	// The burst fits into the queue of the lane and into the outbox, also where the client is slow to read.
	p := start(t, serveArgs(
		"--redis.addresses="+redis.Addr, "--events.max_bytes=2MiB", "--limits.outbox_bytes=16MiB",
		"--redis.lane_queue_bytes=32MiB",
	)...)
	c := p.connect(mustServiceToken(t, testOrganization), "")
	c.ws.SetReadLimit(16 << 20)
	c.subscribe(testUser, "UserAvailability")

	large := func(id, size int) string {
		event := strings.Replace(eventLine(id), "UserStatus", "UserAvailability", 1)
		return event[:len(event)-1] + `,"Note":"` + strings.Repeat("x", size-len(event)-len(`,"Note":""`)) + `"}`
	}
	redisClient := redis.Client()
	defer redisClient.Close()
	for id := range 6 {
		if err := redisClient.Publish(t.Context(), "rte:org:"+testOrganization, large(id, 2<<20)).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for id := range 6 {
		if got := c.next(); !strings.Contains(got, fmt.Sprintf("%012d", id)) || len(got) < 2<<20 {
			t.Fatalf("event %d: got %d bytes, %.200s", id, len(got), got)
		}
	}
	if status, answer := p.post("/api/publish", large(6, 2<<20)); status != http.StatusOK {
		t.Errorf("published: %d %s", status, answer)
	}
	c.expect("000000000006")
	if status, answer := p.post("/api/publish", large(7, 2<<20+1)); !strings.Contains(answer, "too_large") {
		t.Errorf("published more than events.max_bytes: %d %s", status, answer)
	}
	if n := p.metric(`rte_backplane_refused_total{reason="too_large"}`); n != "0" {
		t.Errorf("%s events were refused as too large", n)
	}
}
