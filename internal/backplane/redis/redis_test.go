package redis_test

import (
	"context"
	"errors"
	"hash/crc32"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/backplanetest"
	"github.com/rte-server/rte-server/internal/backplane/redis"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

func TestNew_refusesOptions(t *testing.T) {
	base := backplane.Options{Catalog: events.Builtin(), Sink: backplanetest.NewRecorder()}
	for name, o := range map[string]redis.Options{
		"no catalog":             {Addresses: []string{"a:1"}},
		"no address":             {Options: base},
		"cluster with sentinels": {Options: base, Addresses: []string{"a:1"}, Cluster: true, SentinelMaster: "m"},
		"cluster with database":  {Options: base, Addresses: []string{"a:1"}, Cluster: true, DB: 1},
		"cluster with shards":    {Options: base, Addresses: []string{"a:1"}, Cluster: true, Sharded: true},
		"two lone addresses":     {Options: base, Addresses: []string{"a:1", "b:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := redis.New(o); err == nil {
				t.Error("no error")
			}
		})
	}
}

// Redis may be away when the node starts.
func TestBackplane_redisAwayAtStart(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	server.Kill()
	o := quick(server.Addr)
	sink := backplanetest.NewRecorder()
	o.Catalog, o.Sink = events.Builtin(), sink
	b := mustRun(t, o)
	topic := backplanetest.Topic(events.NewID(), events.NewID())
	backplanetest.MustAcquire(t, b, topic, topic)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if errs := b.Acquire(canceled, []events.Topic{topic}); errs != nil && !errors.Is(errs[0], backplane.ErrUnavailable) {
		t.Errorf("acquire: %v", errs)
	}
	if err := b.Publish(t.Context(), backplanetest.NewEvent(topic, 0).JSON()); !errors.Is(err, backplane.ErrUnavailable) {
		t.Errorf("publish: %v", err)
	}
	if h := b.Health(); h.Connected || !strings.Contains(h.Detail, "refused") {
		t.Errorf("health: %+v", h)
	}
	server.Start()
	waitHealth(t, b, true)
	backplanetest.MustAcquire(t, b, topic)
	backplanetest.MustPublish(t, b, backplanetest.NewEvent(topic, 1))
	sink.Wait(t, 1)
}

// A server that is away affects its own lanes only.
func TestBackplane_oneOfSeveralServersAway(t *testing.T) {
	servers := []*rtetest.Redis{rtetest.MustStartRedis(t), rtetest.MustStartRedis(t)}
	o := quick(servers[0].Addr)
	o.Addresses, o.Sharded = append(o.Addresses, servers[1].Addr), true
	b, sink, _ := mustNode(t, o)
	var topics [2][]events.Topic // by server
	for len(topics[0]) < 3 || len(topics[1]) < 3 {
		topic := backplanetest.Topic(events.NewID(), events.NewID())
		lane := backplane.Layout{}.Lane(topic.Organization, topic.Entity)
		server := crc32.ChecksumIEEE([]byte(lane)) % 2
		topics[server] = append(topics[server], topic)
	}
	backplanetest.MustAcquire(t, b, topics[0][0], topics[1][0])
	servers[1].Kill()
	waitHealth(t, b, false)
	if h := b.Health(); !strings.Contains(h.Detail, servers[1].Addr) {
		t.Errorf("health: %+v", h)
	}
	backplanetest.MustAcquire(t, b, topics[0][1])
	for number, topic := range topics[0][:2] {
		backplanetest.MustPublish(t, b, backplanetest.NewEvent(topic, number))
	}
	sink.Wait(t, 2)
	backplanetest.MustAcquire(t, b, topics[1][1])
	servers[1].Start()
	waitHealth(t, b, true)
	backplanetest.MustAcquire(t, b, topics[1][1])
	for number, topic := range topics[1][:2] {
		backplanetest.MustPublish(t, b, backplanetest.NewEvent(topic, number))
	}
	sink.Wait(t, 4)
}

// The node counts every malformed message of a lane, logs once, and goes on.
func TestBackplane_malformedMessages(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	core, logs := observer.New(zap.WarnLevel)
	o := quick(server.Addr)
	o.Logger = zap.New(core)
	b, sink, metrics := mustNode(t, o)
	mine, other := backplanetest.Topic(events.NewID(), events.NewID()), backplanetest.Topic(events.NewID(), events.NewID())
	backplanetest.MustAcquire(t, b, mine)
	lane := backplane.Layout{}.Lane(mine.Organization, mine.Entity)
	client := server.Client()
	defer client.Close()
	for _, message := range []string{
		"", "{", "[1]", "#", "#1", "#1 2\n{}", "#x 1-1\n{}", "#1 1-1 {}", strings.Repeat("x", 1<<20),
		strings.Repeat("x", 3<<20),
		`{"EventType":7}`, string(backplanetest.NewEvent(other, 1).JSON()),
		"#7 1-1\n" + string(backplanetest.NewEvent(other, 1).JSON()),
	} {
		if err := client.Publish(t.Context(), lane, message).Err(); err != nil {
			t.Fatalf("publish: %v", err)
		}
	}
	if err := client.Publish(t.Context(), lane, backplanetest.NewEvent(mine, 2).JSON()).Err(); err != nil {
		t.Fatalf("publish: %v", err)
	}
	if got := sink.Wait(t, 1)[0]; got.Number != 2 {
		t.Errorf("arrived %+v", got)
	}
	for reason, want := range map[string]float64{"frame": 5, "too_large": 2, "foreign_organization": 2, "not_object": 1} {
		waitValue(t, metrics, "rte_backplane_refused_total", reason, want)
	}
	if n := logs.FilterMessage("message refused").Len(); n != 1 {
		t.Errorf("%d warnings were logged, want 1", n)
	}
	if n := (&rigNode{metrics: metrics}).value(t, "rte_backplane_epochs_total"); n > 0 {
		t.Errorf("%.0f connections ended", n)
	}
}

// A node subscribes the lanes that its subscribers want, and unsubscribes them some time after the last one has gone.
func TestBackplane_lanesFollowInterest(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	o := quick(server.Addr)
	o.Linger = 100 * time.Millisecond
	b, _, metrics := mustNode(t, o)
	var topics []events.Topic
	for range 1500 {
		topics = append(topics, backplanetest.Topic(events.NewID(), events.NewID()))
	}
	backplanetest.MustAcquire(t, b, topics...)
	client := server.Client()
	defer client.Close()
	lanes := func() int {
		t.Helper()
		names, err := client.PubSubChannels(t.Context(), "rte:org:*").Result()
		if err != nil {
			t.Fatalf("pubsub channels: %v", err)
		}
		return len(names)
	}
	if n := lanes(); n != len(topics) {
		t.Errorf("%d lanes are subscribed, want %d", n, len(topics))
	}
	b.Release(topics[:1000])
	waitValue(t, metrics, "rte_backplane_lanes", "confirmed", 500)
	// A released lane does not count as confirmed before Redis knows of it.
	for deadline := time.Now().Add(rtetest.Patience); lanes() != 500; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d lanes are subscribed, want 500", lanes())
		}
	}
	b.Release(topics[1000:])
	waitValue(t, metrics, "rte_backplane_lanes", "confirmed", 0)
}

// The journal, not the connection, reveals that events were forgotten; only the lanes concerned report a loss.
func TestFault_journalForgotten(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	r := mustRig(t, server, 4)
	proxy := rtetest.MustStartProxy(t, server.Addr)
	o := quick(proxy.Addr)
	o.Watch = time.Millisecond
	n := r.node(o)
	r.publish([tiers]int{tier2: 400})
	r.waitDelivered(n, tier2, 20) // so that the lanes are trusted to have nothing else
	proxy.Blackhole()
	lasts(200 * time.Millisecond)
	trimmed := r.streams[tier2].lane
	if err := r.client.XTrimMaxLen(t.Context(), "rte:j:{"+trimmed+"}", 0).Err(); err != nil {
		t.Fatalf("xtrim: %v", err)
	}
	proxy.Cut()
	proxy.Open()
	r.waitMore(n, tier2, 20)
	r.stopPublishing()
	r.waitLast(n)
	row := r.report("journal of one lane trimmed")[0][tier2]
	if row.missing == 0 || row.unflagged > 0 || row.duplicates+row.disorders > 0 {
		t.Errorf("T2: %+v", row)
	}
	for _, l := range n.losses {
		if l.Lane != trimmed || l.Reason != backplane.LossTrimmed || l.Events != row.missing {
			t.Errorf("reported %+v; %d events of lane %s are missing", l, row.missing, trimmed)
		}
	}
}

func TestFault_flushall(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	r := mustRig(t, server, 4)
	n := r.node(quick(server.Addr))
	r.publish([tiers]int{tier2: 400})
	r.waitDelivered(n, tier2, 20)
	if err := r.client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatalf("flushall: %v", err)
	}
	r.waitMore(n, tier2, 20)
	r.check("FLUSHALL")
	if len(n.losses) != 4 {
		t.Errorf("%d losses were reported, want one per lane: %+v", len(n.losses), n.losses)
	}
}

// The first node that publishes to a server without the library loads it.
func TestPublish_loadsFunctions(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	b, sink, _ := mustNode(t, quick(server.Addr))
	topic := backplanetest.Topic(events.NewID(), events.NewID())
	backplanetest.MustAcquire(t, b, topic)
	client := server.Client()
	defer client.Close()
	for number := range 2 {
		if err := client.FunctionFlush(t.Context()).Err(); err != nil {
			t.Fatalf("function flush: %v", err)
		}
		backplanetest.MustPublish(t, b, backplanetest.NewEvent(topic, number))
	}
	sink.Wait(t, 2)
	version, err := client.FCallRO(t.Context(), "rte_version", nil).Int()
	if err != nil || version < 1 {
		t.Errorf("rte_version: %d, %v", version, err)
	}
}
