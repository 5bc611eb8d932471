package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// directoryWriter is a back end that keeps the directory in Redis.
type directoryWriter struct {
	t testing.TB
	*goredis.Client
}

func newDirectoryWriter(t testing.TB, redis *rtetest.Redis) directoryWriter {
	t.Helper()
	client := redis.Client()
	t.Cleanup(func() { _ = client.Close() })
	return directoryWriter{t, client}
}

// put writes the document of an entity, as docs/authorization.md describes.
func (w directoryWriter) put(id, document string) {
	w.t.Helper()
	if err := w.Set(context.Background(), "rte:d:e:"+id, document, 0).Err(); err != nil {
		w.t.Fatal(err)
	}
}

// notify publishes a message.
func (w directoryWriter) notify(channel, message string) {
	w.t.Helper()
	if err := w.Publish(context.Background(), channel, message).Err(); err != nil {
		w.t.Fatal(err)
	}
}

// TestServe_followsDirectoryInRedis uses a directory in Redis that changes, has garbage, and is away for a while.
func TestServe_followsDirectoryInRedis(t *testing.T) {
	const (
		queue, another = "c9eeb030-ff4b-ea11-ac9c-00155d4fdcf3", "d9eeb030-ff4b-ea11-ac9c-00155d4fdcf3"
		foreign        = "e9eeb030-ff4b-ea11-ac9c-00155d4fdcf3"
		wrong, unknown = "f9eeb030-ff4b-ea11-ac9c-00155d4fdcf3", "09eeb030-ff4b-ea11-ac9c-00155d4fdcf3"
	)
	redis := rtetest.MustStartRedis(t)
	proxy := rtetest.MustStartProxy(t, redis.Addr)
	cutOff := func() {
		proxy.Refuse(true)
		proxy.Cut()
	}
	writer := newDirectoryWriter(t, redis)
	ofQueue := func(organization, members string) string {
		return fmt.Sprintf(`{"kind":"Queue","organization":%q,"name":"Sales","members":[%s]}`, organization, members)
	}
	writer.put(testUser, fmt.Sprintf(`{"kind":"User","organization":%q}`, testOrganization))
	writer.put(queue, ofQueue(testOrganization, `"`+testUser+`"`))
	writer.put(another, ofQueue(testOrganization, `"`+testUser+`"`))
	writer.put(foreign, ofQueue(otherOrganization, `"`+testUser+`"`))
	writer.put(wrong, `{"kind":"Queue","organization":7}`)

	p := start(t, serveArgs("--redis.addresses="+proxy.Addr, "--directory.kind=redis")...)
	token := strings.TrimSpace(mustCommand(t, "", "token", "--user", testUser, "--org", testOrganization))
	c := p.connect(token, "?features=notices") // it stays when events are lost
	c.ignored = []string{"Resync", "SubscriptionsEnded"}
	const allowed, refused, away = `"subscribed":true`, `"message":"Unauthorized"`, `"message":"Temporarily unavailable"`
	for _, test := range []struct{ entity, event, want string }{
		{testUser, "UserStatus", allowed},
		{queue, "QueueStatus", allowed},
		{foreign, "QueueStatus", refused},
		{unknown, "QueueStatus", refused},
		{wrong, "QueueStatus", refused},
	} {
		if answer := c.subscribe(test.entity, test.event); !strings.Contains(answer, test.want) {
			t.Errorf("%s of %s: %s, want %s", test.event, test.entity, answer, test.want)
		}
	}
	if n := p.metric("rte_authz_directory_malformed_total"); n != "1" {
		t.Errorf("%s documents are malformed", n)
	}
	active := func(want string) {
		t.Helper()
		eventually(t, want+" subscriptions", func() bool { return p.metric("rte_hub_subscriptions_active") == want })
	}
	active("2")

	for _, garbage := range []string{"", "{", `{"entities":"all"}`, `{"entities":["sales"]}`, strings.Repeat("x", 1<<20)} {
		writer.notify("rte:c:directory", garbage)
	}
	writer.put(queue, ofQueue(otherOrganization, `"`+testUser+`"`))
	writer.notify("rte:c:directory", `{"entities":["`+queue+`"]}`)
	active("1")
	if answer := c.subscribe(queue, "QueueStatus"); !strings.Contains(answer, refused) {
		t.Errorf("the queue that was given away: %s", answer)
	}
	if n := p.metric(`rte_control_messages_total{kind="directory",result="malformed"}`); n != "5" {
		t.Errorf("%s messages were malformed, want 5", n)
	}

	cutOff()
	if answer := c.subscribe(another, "QueueStatus"); !strings.Contains(answer, away) {
		t.Errorf("while Redis is away: %s", answer)
	}
	active("1")
	proxy.Refuse(false)
	eventually(
		t, "an answer of the directory",
		func() bool { return strings.Contains(c.subscribe(another, "QueueStatus"), allowed) },
	)
	active("2")
	lane := "rte:org:" + testOrganization
	eventually(t, "the lane to be subscribed again", func() bool {
		return writer.PubSubNumSub(t.Context(), lane).Val()[lane] > 0
	})
	writer.notify(lane,
		fmt.Sprintf(`{"RootEntityType":"Organization","RootEntityId":%q,"OrganizationId":%[1]q,`+
			`"EventType":"UserStatus","EntityType":"User","EntityId":%q,"MessageTTLSeconds":60}`, testOrganization, testUser))
	c.expect(`"eventType":"UserStatus"`)

	// A change while the node was cut off, whose message did not reach it.
	cutOff()
	writer.put(another, ofQueue(testOrganization, ""))
	writer.notify("rte:c:directory", `{"entities":["`+another+`"]}`)
	proxy.Refuse(false)
	active("1")
}

// mustSubscribeMany subscribes to an event of many users without a subscription so far, and returns how long that took.
func mustSubscribeMany(t testing.TB, c *client, users []string) time.Duration {
	t.Helper()
	items := make([]string, len(users))
	for i, user := range users {
		items[i] = `{"EntityId":"` + user + `","EventName":"UserStatus"}`
	}
	c.ws.SetReadLimit(-1)
	began := time.Now()
	c.send(`{"type":1,"invocationId":"1","target":"Subscribe","arguments":[[` + strings.Join(items, ",") + `]]}`)
	answer := c.next()
	took := time.Since(began)
	if n := strings.Count(answer, `"subscribed":true`); n != len(users) {
		t.Fatalf("%d of %d are subscribed: %.300s", n, len(users), answer)
	}
	return took
}

// TestServe_subscribesToThousandWithOneCommand subscribes to 1,000 entities that are not in the cache, with one command
// to Redis. An idle machine does that within 50 ms.
func TestServe_subscribesToThousandWithOneCommand(t *testing.T) {
	const rounds, many = 5, 1000
	redis := rtetest.MustStartRedis(t)
	writer := newDirectoryWriter(t, redis)
	var users [rounds][]string
	pipe := writer.Pipeline()
	for round := range users {
		for range many {
			user := events.NewID().String()
			users[round] = append(users[round], user)
			pipe.Set(
				t.Context(), "rte:d:e:"+user, fmt.Sprintf(`{"kind":"User","organization":%q,"name":"Somebody"}`, testOrganization),
				0,
			)
		}
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	p := start(t, serveArgs("--redis.addresses="+redis.Addr, "--directory.kind=redis", "--limits.message_bytes=256KiB")...)
	c := p.connect(mustServiceToken(t, testOrganization), "")
	if err := writer.ConfigResetStat(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	fastest := time.Hour
	for _, some := range users {
		fastest = min(fastest, mustSubscribeMany(t, c, some))
	}
	t.Logf("it took %s at least", fastest)
	stats, err := writer.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	// One command reads the directory for each round. The journal of the new lane may take two.
	calls := 0
	if _, rest, found := strings.Cut(stats, "cmdstat_mget:calls="); found {
		_, _ = fmt.Sscan(rest, &calls) // 0 if it is no number
	}
	if calls < rounds || calls > rounds+2 {
		t.Errorf("%d MGET, want %d to %d, in\n%s", calls, rounds, rounds+2, stats)
	}
}
