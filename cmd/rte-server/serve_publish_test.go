package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// eventLine returns a UserStatus of testUser, as published.
func eventLine(id int) string {
	return fmt.Sprintf(`{"Id":"0d000000-0000-4000-8000-%012d","OrganizationId":"%s","EntityType":"User",`+
		`"EntityId":"%s","EventType":"UserStatus","MessageTTLSeconds":60}`,
		id, testOrganization, testUser)
}

// postOnce sends a body with an Idempotency-Key.
func (p *running) postOnce(path, body, key string) (status int, answer string) {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.operators+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	request.Header.Set("Idempotency-Key", key)
	return p.do(request)
}

func TestServe_publishesOverHTTP(t *testing.T) {
	p := start(t, serveArgs()...)
	c := p.connect(mustServiceToken(t, testOrganization), "")
	c.subscribe(testUser, "UserStatus")

	status, answer := p.post("/api/publish", eventLine(1)+"\n"+`{"EventType":"UserStatus"}`+"\n"+eventLine(2)+"\n")
	want := `{"published":2,"refused":1,"refusals":[{"line":2,"error":"wrong_entity_type"}]}`
	if status != 207 || strings.TrimSpace(answer) != want {
		t.Errorf("published: %d %s", status, answer)
	}
	c.expect(`"id":"0d000000-0000-4000-8000-000000000001"`)
	c.expect(`"id":"0d000000-0000-4000-8000-000000000002"`)

	// An event without subscribers is decoded completely, too.
	unheard := strings.ReplaceAll(eventLine(1), testUser, testOrganization)
	status, answer = p.post("/api/publish", unheard[:len(unheard)-1])
	if status != 400 || !strings.Contains(answer, `{"line":1,"error":"not_json"}`) {
		t.Errorf("published: %d %s", status, answer)
	}

	for range 2 {
		status, answer = p.postOnce("/api/publish", "["+eventLine(3)+"]", "once")
		if status != 200 || strings.TrimSpace(answer) != `{"published":1,"refused":0}` {
			t.Errorf("published: %d %s", status, answer)
		}
	}
	p.post("/api/publish", eventLine(4))
	c.expect(`"id":"0d000000-0000-4000-8000-000000000003"`)
	c.expect(`"id":"0d000000-0000-4000-8000-000000000004"`)
	if n := p.metric(`rte_console_published_events_total{result="published"}`); n != "4" {
		t.Errorf("%s events are counted", n)
	}
}

// Publishing for an organization whose counter in Redis is another kind of key was answered with 503 for ever, and the
// events of other organizations behind it were never published.
func TestServe_refusesEventsOfSpoiltLane(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	client := redis.Client()
	defer client.Close()
	counter := "rte:n:{rte:org:" + testOrganization + "}"
	if err := client.LPush(t.Context(), counter, "x").Err(); err != nil {
		t.Fatal(err)
	}
	p := start(t, serveArgs("--redis.addresses="+redis.Addr)...)
	other := strings.ReplaceAll(eventLine(2), testOrganization, "0c000000-0000-4000-8000-000000000009")
	status, answer := p.post("/api/publish", eventLine(1)+"\n"+other+"\n")
	if status != 207 || !strings.Contains(answer, `"published":1`) ||
		!strings.Contains(answer, `"error":"wrong_key_type"`) || !strings.Contains(answer, counter) {
		t.Errorf("published: %d %s", status, answer)
	}
}

// TestServe_publishesOnceOverTwoNodes sends a request to two nodes of one Redis. The second one publishes nothing.
func TestServe_publishesOnceOverTwoNodes(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	one := start(t, serveArgs("--redis.addresses="+redis.Addr)...)
	c := one.connect(mustServiceToken(t, testOrganization), "")
	c.subscribe(testUser, "UserStatus")
	another := start(t, serveArgs("--redis.addresses="+redis.Addr)...)

	// Events without an Id, which nodes cannot distinguish.
	body := strings.ReplaceAll(eventLine(1)+"\n"+eventLine(2)+"\n", `"Id":`, `"Number":`)
	for _, p := range []*running{one, another, one} {
		status, answer := p.postOnce("/api/publish", body, "once")
		if status != 200 || strings.TrimSpace(answer) != `{"published":2,"refused":0}` {
			t.Errorf("published: %d %s", status, answer)
		}
	}
	if status, answer := another.post("/api/publish", eventLine(3)); status != 200 {
		t.Errorf("published: %d %s", status, answer)
	}
	for i := range 3 {
		c.expect(fmt.Sprintf(`0d000000-0000-4000-8000-%012d"`, i+1))
	}
}

// TestServe_reportsUnpublishedEvents checks that the answer does not count events that Redis did not take.
func TestServe_reportsUnpublishedEvents(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	one := start(t, serveArgs("--redis.addresses="+redis.Addr)...)
	redis.Kill()
	status, answer := one.postOnce("/api/publish", eventLine(4), "later")
	if status != 503 || !strings.Contains(answer, `"error":"backplane unavailable`) {
		t.Errorf("without Redis: %d %s", status, answer)
	}
	status, answer = one.post("/api/publish", eventLine(5))
	if status != 503 || !strings.Contains(answer, `"line":1`) {
		t.Errorf("without Redis: %d %s", status, answer)
	}
}

func TestServe_refusesPublishWithoutToken(t *testing.T) {
	p := start(t, serveArgs("--console.token=0123456789abcdef")...)
	if status, _ := p.post("/api/publish", eventLine(1)); status != 401 {
		t.Errorf("without a token: %d", status)
	}
}

// An event with a local time without a zone was accepted with 200, although it was too old for any client: without a
// zone a time is UTC.
func TestServe_publishRefusesExpiredEvents(t *testing.T) {
	event := func(made time.Time, layout string) string {
		line := eventLine(1)
		return line[:len(line)-1] + `,"Timestamp":"` + made.Format(layout) + `"}`
	}
	const withoutZone = "2006-01-02T15:04:05"
	west := time.FixedZone("west", -5*60*60)
	body := strings.Join([]string{
		event(
			time.Now().UTC(), withoutZone,
		), event(time.Now().In(west), withoutZone), event(time.Now().In(west), time.RFC3339),
	}, "\n")
	p := start(t, serveArgs()...)
	status, answer := p.post("/api/publish", body)
	var got struct {
		Published int
		Refusals  []struct {
			Line          int
			Error, Detail string
		}
	}
	if err := json.Unmarshal([]byte(answer), &got); err != nil {
		t.Fatal(err)
	}
	if status != http.StatusMultiStatus || got.Published != 2 || len(got.Refusals) != 1 || got.Refusals[0].Line != 2 ||
		got.Refusals[0].Error != "expired" || !strings.Contains(got.Refusals[0].Detail, "without a zone is UTC") {
		t.Errorf("published: %d %s", status, answer)
	}

	p = start(t, serveArgs("--events.expire=false")...)
	if status, answer := p.post("/api/publish", body); status != http.StatusOK {
		t.Errorf("without expiry: %d %s", status, answer)
	}
}
