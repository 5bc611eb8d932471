package redis_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/backplanetest"
	"github.com/rte-server/rte-server/internal/backplane/redis"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// nodeRules are the ACL rules of a node's user, as in docs/redis.md.
const nodeRules = "on >secret resetkeys resetchannels &rte:* %R~rte:* ~rte:c:* nocommands " +
	"+ping +client|setname +subscribe +unsubscribe +ssubscribe +sunsubscribe +publish +spublish " +
	"+get +mget +hvals +xread +xrange +xrevrange +time +info +cluster|nodes +cluster|slots " +
	"+zadd +zscan +zremrangebyscore"

// publishingRules are the rules of a node that also publishes and loads the functions.
const publishingRules = nodeRules + " ~rte:* +fcall +fcall_ro +function|load +incr +xadd +expire +eval +evalsha " +
	"+set +hset +hdel +hlen +hexists +hgetall +ttl"

// mustSetUser creates or changes a user of a server.
func mustSetUser(t testing.TB, server *rtetest.Redis, name, rules string) {
	t.Helper()
	client := server.Client()
	defer client.Close()
	args := []any{"ACL", "SETUSER", name}
	for rule := range strings.FieldsSeq(rules) {
		args = append(args, rule)
	}
	if err := client.Do(context.Background(), args...).Err(); err != nil {
		t.Fatalf("acl setuser: %v", err)
	}
}

// mustNode starts a node without subscribers and waits until it is connected.
func mustNode(t testing.TB, o redis.Options) (*redis.Backplane, *backplanetest.Recorder, *prometheus.Registry) {
	t.Helper()
	sink, metrics := backplanetest.NewRecorder(), prometheus.NewRegistry()
	o.Catalog, o.Sink, o.Registerer = events.Builtin(), sink, metrics
	b := mustRun(t, o)
	waitHealth(t, b, true)
	return b, sink, metrics
}

func TestAccess_nodeUser(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	mustSetUser(t, server, "node", nodeRules)
	mustSetUser(t, server, "publisher", publishingRules)
	as := func(user string) redis.Options {
		o := quick(server.Addr)
		o.Username, o.Password = user, "secret"
		return o
	}
	subscriber, sink, _ := mustNode(t, as("node"))
	publisher, _, _ := mustNode(t, as("publisher"))
	topic := backplanetest.Topic(events.NewID(), events.NewID())
	backplanetest.MustAcquire(t, subscriber, topic)
	ev := backplanetest.NewEvent(topic, 1)
	backplanetest.MustPublish(t, publisher, ev)
	sink.Wait(t, 1)
	if err := subscriber.Revocations().Keep(
		t.Context(), []byte(`{"jti":"one"}`), time.Now().Add(time.Hour), []byte("{}"),
	); err != nil {
		t.Errorf("a node that may revoke: %v", err)
	}
	if got := kept(t, subscriber.Revocations()); len(got) != 1 {
		t.Errorf("kept are %v", got)
	}
	if err := subscriber.Documents(t.Context(), make([]events.ID, 2), make([][]byte, 2)); err != nil {
		t.Errorf("a node that may read the directory: %v", err)
	}
	if err := subscriber.Publish(t.Context(), ev.JSON()); !errors.Is(err, backplane.ErrRefused) {
		t.Errorf("a node that may not publish: %v", err)
	}
}

func TestAccess_laneRefused(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	allowed, refused := events.ID{1}, events.ID{2}
	rules := fmt.Sprintf("resetchannels &rte:hb:* &rte:org:%s ", allowed)
	mustSetUser(t, server, "node", nodeRules+" "+rules)
	o := quick(server.Addr)
	o.Username, o.Password = "node", "secret"
	b, sink, metrics := mustNode(t, o)

	var topics []events.Topic
	for _, organization := range []events.ID{refused, allowed} {
		topics = append(topics, backplanetest.Topic(organization, events.NewID()))
	}
	errs := b.Acquire(t.Context(), topics)
	if len(errs) != 2 || !errors.Is(errs[0], backplane.ErrRefused) || errs[1] != nil {
		t.Fatalf("acquire: %v; want the first refused and the second not", errs)
	}
	client := server.Client()
	defer client.Close()
	publish := func(topic events.Topic, number int) {
		t.Helper()
		lane := backplane.Layout{}.Lane(topic.Organization, topic.Entity)
		if err := client.Publish(t.Context(), lane, backplanetest.NewEvent(topic, number).JSON()).Err(); err != nil {
			t.Fatalf("publish: %v", err)
		}
	}
	publish(topics[1], 1)
	sink.Wait(t, 1)

	// The permission is granted, and revoked while the lane is subscribed: then Redis closes the connection.
	mustSetUser(t, server, "node", fmt.Sprintf("&rte:org:%s", refused))
	backplanetest.MustAcquire(t, b, topics[0])
	publish(topics[0], 2)
	sink.Wait(t, 2)
	mustSetUser(t, server, "node", rules)
	waitValue(t, metrics, "rte_backplane_lanes", "failed", 1)
	waitHealth(t, b, true)
	publish(topics[1], 3)
	sink.Wait(t, 3)
}

func TestAccess_wrongPassword(t *testing.T) {
	server := rtetest.MustStartRedis(t, "--requirepass", "right")
	o := quick(server.Addr)
	o.Password = "wrong"
	o.Catalog, o.Sink = events.Builtin(), backplanetest.NewRecorder()
	b := mustRun(t, o)
	backplanetest.MustAcquire(t, b, backplanetest.Topic(events.NewID(), events.NewID()))
	if h := b.Health(); h.Connected || h.Detail == "" {
		t.Errorf("health: %+v", h)
	}
}

// waitValue waits until a metric has a value. An empty label means the sum over all labels.
func waitValue(t testing.TB, metrics *prometheus.Registry, name, label string, want float64) {
	t.Helper()
	n := &rigNode{metrics: metrics}
	value := func() float64 {
		if label == "" {
			return n.value(t, name)
		}
		return n.value(t, name, label)
	}
	waitFor(t, fmt.Sprintf("%s{%s} is %v", name, label, want), func() bool { return value() == want })
}

// waitFor waits until a condition holds.
func waitFor(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(rtetest.Patience); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// A node was not permitted to subscribe a control channel, and later was. It did not retry while no lane was refused
// either, and received no revocation until the next connection.
func TestAccess_channelRefused(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	mustSetUser(t, server, "node", nodeRules+" resetchannels &rte:hb:* &rte:peer:* &rte:org:*")
	o := quick(server.Addr)
	o.Username, o.Password = "node", "secret"
	b, _, _ := mustNode(t, o)
	missed := make(chan bool, 10)
	b.Subscribe(backplane.RevokeChannel, func([]byte) {}, func() { missed <- true })
	client := server.Client()
	defer client.Close()
	waitFor(t, "the channel is refused", func() bool {
		entries, err := client.ACLLog(t.Context(), 100).Result()
		return err == nil &&
			slices.ContainsFunc(entries, func(e *goredis.ACLLogEntry) bool { return e.Object == backplane.RevokeChannel })
	})
	mustSetUser(t, server, "node", "&rte:c:*")
	await(t, "the subscription", missed)
}
