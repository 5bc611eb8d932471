package redis_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/backplane/backplanetest"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// snapshotKey returns the key of the snapshot of a topic.
func snapshotKey(t events.Topic) string {
	d := events.Builtin().Definition(t.Type)
	return fmt.Sprintf("rte:s:{rte:org:%s}:%s:%s:%s", t.Organization, d.Kind, t.Entity, d.Name)
}

// A lane was quiet for so long that its journal has expired, and its state has not.
func TestSnapshot_journalGone(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	publisher, _, _ := mustNode(t, quick(server.Addr))
	topic := backplanetest.Topic(events.NewID(), events.NewID())
	backplanetest.MustPublish(t, publisher, backplanetest.NewEvent(topic, 7))
	client := server.Client()
	defer client.Close()
	if n, err := client.Del(
		t.Context(), "rte:j:{rte:org:"+topic.Organization.String()+"}",
	).Result(); err != nil || n != 1 {
		t.Fatalf("del: %d, %v", n, err)
	}
	node, _, _ := mustNode(t, quick(server.Addr))
	backplanetest.MustAcquire(t, node, topic)
	if got := backplanetest.MustSnapshot(t, node, topic)[topic]; len(got) != 1 || got[0] != 7 {
		t.Errorf("snapshot is %v, want 7", got)
	}
}

// A publisher wrote a state by itself. It may also come as an event, so it is not used.
func TestSnapshot_withoutPosition(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	node, _, _ := mustNode(t, quick(server.Addr))
	topic := backplanetest.Topic(events.NewID(), events.NewID())
	client := server.Client()
	defer client.Close()
	for name, text := range map[string]string{
		"an event":          string(backplanetest.NewEvent(topic, 1).JSON()),
		"nonsense":          "nonsense",
		"a broken position": "#1 x\n{}",
		"of another topic": "#1 1-1\n" +
			string(backplanetest.NewEvent(backplanetest.Topic(topic.Organization, events.NewID()), 1).JSON()),
		"of another organization": "#1 1-1\n" +
			string(backplanetest.NewEvent(backplanetest.Topic(events.NewID(), topic.Entity), 1).JSON()),
	} {
		if err := client.Set(t.Context(), snapshotKey(topic), text, time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
		backplanetest.MustAcquire(t, node, topic)
		if got := backplanetest.MustSnapshot(t, node, topic)[topic]; len(got) != 0 {
			t.Errorf("%s: snapshot is %v, want none", name, got)
		}
		node.Release([]events.Topic{topic})
	}
}

// States are replaced by events that are not kept.
func TestSnapshot_replaced(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	publisher, _, _ := mustNode(t, quick(server.Addr))
	client := server.Client()
	defer client.Close()
	organization := events.NewID()
	callbacks := events.Topic{Organization: organization, Entity: events.NewID(), Type: events.CallbackChanged}
	for _, topic := range []events.Topic{backplanetest.Topic(organization, events.NewID()), callbacks} {
		for _, ttl := range []int{60, 0, 60, -1} {
			ev := backplanetest.NewEvent(topic, 1)
			ev.TTLSeconds, ev.CallBack = ttl, events.ID{1}
			backplanetest.MustPublish(t, publisher, ev)
			exists, err := client.Exists(t.Context(), snapshotKey(topic)).Result()
			if err != nil || (exists == 1) != (ttl > 0) {
				t.Errorf("after a TTL of %d, %d snapshots are there: %v", ttl, exists, err)
			}
		}
	}
}

// A topic has more states than are kept, and states that outlive one another.
func TestSnapshot_manyStates(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	publisher, _, _ := mustNode(t, quick(server.Addr))
	topic := events.Topic{Organization: events.NewID(), Entity: events.NewID(), Type: events.CallbackChanged}
	for number := range 1010 {
		ev := backplanetest.NewEvent(topic, number)
		ev.CallBack, ev.TTLSeconds = events.NewID(), 60
		if number == 1009 {
			ev.TTLSeconds = 1
		}
		backplanetest.MustPublish(t, publisher, ev)
	}
	client := server.Client()
	defer client.Close()
	if n, err := client.HLen(t.Context(), snapshotKey(topic)).Result(); err != nil || n != 1000 {
		t.Errorf("%d states are kept, want 1000: %v", n, err)
	}
	if left, err := client.TTL(t.Context(), snapshotKey(topic)).Result(); err != nil || left < 30*time.Second {
		t.Errorf("they are kept for %v: a short-lived state must not take the others with it", left)
	}
	node, _, _ := mustNode(t, quick(server.Addr))
	backplanetest.MustAcquire(t, node, topic)
	if got := backplanetest.MustSnapshot(t, node, topic)[topic]; len(got) != 1000 {
		t.Errorf("snapshot has %d states, want 1000", len(got))
	}
}

// Publishers name the state of a callback in different ways.
func TestSnapshot_fieldsOfSeveralPublishers(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	publisher, _, _ := mustNode(t, quick(server.Addr))
	topic := events.Topic{Organization: events.NewID(), Entity: events.NewID(), Type: events.CallbackChanged}
	client := server.Client()
	defer client.Close()
	lane := "rte:org:" + topic.Organization.String()
	keys := []string{"rte:j:{" + lane + "}", "rte:n:{" + lane + "}", snapshotKey(topic)}
	for number := range 8 {
		ev := backplanetest.NewEvent(topic, number)
		ev.CallBack = events.ID{byte(1 + number%2)}
		if number < 4 || number == 7 {
			backplanetest.MustPublish(t, publisher, ev)
		} else if err := client.FCall(
			t.Context(), "rte_publish", keys, lane, ev.JSON(), 100, 60, "PUBLISH", "mine:"+ev.CallBack.String(),
		).Err(); err != nil {
			t.Fatal(err)
		}
	}
	node, _, _ := mustNode(t, quick(server.Addr))
	backplanetest.MustAcquire(t, node, topic)
	if got := backplanetest.MustSnapshot(t, node, topic)[topic]; len(got) != 2 || got[0]+got[1] != 6+7 {
		t.Errorf("snapshot is %v, want 6 and 7", got)
	}
}

// A foreign publisher ends a state that the server has published. Nodes named a callback in a way that no publisher
// could know, so that the last state stayed for its whole lifetime.
func TestSnapshot_fieldIsTheCallback(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	publisher, _, _ := mustNode(t, quick(server.Addr))
	topic := events.Topic{Organization: events.NewID(), Entity: events.NewID(), Type: events.CallbackChanged}
	ev := backplanetest.NewEvent(topic, 1)
	ev.CallBack, ev.TTLSeconds = events.NewID(), 60
	backplanetest.MustPublish(t, publisher, ev)
	client := server.Client()
	defer client.Close()
	if fields, err := client.HKeys(
		t.Context(), snapshotKey(topic),
	).Result(); err != nil || len(fields) != 1 || fields[0] != ev.CallBack.String() {
		t.Errorf("the fields are %v, %v, want %s", fields, err, ev.CallBack)
	}
	lane := "rte:org:" + topic.Organization.String()
	keys := []string{"rte:j:{" + lane + "}", "rte:n:{" + lane + "}", snapshotKey(topic)}
	ev.TTLSeconds = 0
	if err := client.FCall(
		t.Context(), "rte_publish", keys, lane, ev.JSON(), 100, 0, "PUBLISH", ev.CallBack.String(),
	).Err(); err != nil {
		t.Fatal(err)
	}
	node, _, _ := mustNode(t, quick(server.Addr))
	backplanetest.MustAcquire(t, node, topic)
	if got := backplanetest.MustSnapshot(t, node, topic)[topic]; len(got) != 0 {
		t.Errorf("snapshot is %v, want none", got)
	}
}

// While Redis does not answer, the states in memory are available at once, and a caller waits for the rest no longer
// than its deadline.
func TestSnapshot_redisFrozen(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	node, sink, _ := mustNode(t, quick(server.Addr))
	organization := events.NewID()
	known, unknown := backplanetest.Topic(organization, events.NewID()), backplanetest.Topic(organization, events.NewID())
	backplanetest.MustAcquire(t, node, known, unknown)
	backplanetest.MustPublish(t, node, backplanetest.NewEvent(known, 1))
	sink.Wait(t, 1)
	server.Freeze()
	defer server.Thaw()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	begin := time.Now()
	var answered []events.Topic
	var states int
	err := node.Snapshot(ctx, []events.Topic{unknown, known}, func(topics []events.Topic, last []*events.Event) {
		answered, states = append(answered, topics...), states+len(last)
	})
	if took := time.Since(begin); err == nil || took > rtetest.Patience {
		t.Errorf("after %v: %v; want an error soon", took, err)
	}
	if len(answered) != 1 || answered[0] != known || states != 1 {
		t.Errorf("%d states of %v", states, answered)
	}
}

// lateAnswer is a connection whose reader waits for the answer to a read of states.
type lateAnswer struct {
	net.Conn
	next      *atomic.Bool  // the next read of states, on any connection, must wait
	requested chan struct{} // closed when it was answered
	open      chan struct{} // closed when it may go on
	late      atomic.Bool
}

func (c *lateAnswer) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("rte:s:")) && c.next.CompareAndSwap(true, false) {
		c.late.Store(true)
	}
	return c.Conn.Write(p)
}

func (c *lateAnswer) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && c.late.CompareAndSwap(true, false) {
		close(c.requested)
		<-c.open
	}
	return n, err
}

// A state ends while it is read from Redis. The read state was taken for the latest, for its whole lifetime.
func TestSnapshot_endedMeanwhile(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	publisher, _, _ := mustNode(t, quick(server.Addr))
	topic := backplanetest.Topic(events.NewID(), events.NewID())
	backplanetest.MustPublish(t, publisher, backplanetest.NewEvent(topic, 1))
	var next atomic.Bool
	requested, open := make(chan struct{}), make(chan struct{})
	o := quick(server.Addr)
	o.CommandTimeout = rtetest.Patience
	o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &lateAnswer{Conn: conn, next: &next, requested: requested, open: open}, nil
	}
	node, sink, _ := mustNode(t, o)
	backplanetest.MustAcquire(t, node, topic)
	next.Store(true)
	got := make(chan []int, 1)
	go func() { got <- backplanetest.MustSnapshot(t, node, topic)[topic] }()
	<-requested
	over := backplanetest.NewEvent(topic, 2)
	over.TTLSeconds = 0
	backplanetest.MustPublish(t, publisher, over)
	sink.Wait(t, 1)
	close(open)
	if numbers := <-got; len(numbers) != 0 {
		t.Errorf("snapshot is %v, want none", numbers)
	}
	if numbers := backplanetest.MustSnapshot(t, node, topic)[topic]; len(numbers) != 0 {
		t.Errorf("the next snapshot is %v, want none", numbers)
	}
}

// A node cannot keep all states of a topic. Those that it had dropped were missing.
func TestSnapshot_littleRoom(t *testing.T) {
	const states = 20
	server := rtetest.MustStartRedis(t)
	publisher, _, _ := mustNode(t, quick(server.Addr))
	topic := events.Topic{Organization: events.NewID(), Entity: events.NewID(), Type: events.CallbackChanged}
	for number := range states {
		ev := backplanetest.NewEvent(topic, number)
		ev.CallBack = events.NewID()
		backplanetest.MustPublish(t, publisher, ev)
	}
	o := quick(server.Addr)
	o.SnapshotMemory = 5000
	node, _, _ := mustNode(t, o)
	backplanetest.MustAcquire(t, node, topic)
	for range 2 {
		numbers := backplanetest.MustSnapshot(t, node, topic)[topic]
		slices.Sort(numbers)
		if len(numbers) != states || len(slices.Compact(numbers)) != states {
			t.Errorf("snapshot is %v, want %d states", numbers, states)
		}
	}
}

// Many callers read the same topics at once. Few of them read from Redis.
func TestSnapshot_fewReadsForManyCallers(t *testing.T) {
	const clients, count = 100, 50
	server := rtetest.MustStartRedis(t)
	publisher, _, _ := mustNode(t, quick(server.Addr))
	organization := events.NewID()
	var topics []events.Topic
	for number := range count {
		topic := backplanetest.Topic(organization, events.NewID())
		topics = append(topics, topic)
		if number%2 == 0 {
			backplanetest.MustPublish(t, publisher, backplanetest.NewEvent(topic, number))
		}
	}
	node, _, _ := mustNode(t, quick(server.Addr))
	backplanetest.MustAcquire(t, node, topics...)
	client := server.Client()
	defer client.Close()
	before := gets(t, client)
	var herd sync.WaitGroup
	for range clients {
		herd.Go(func() {
			if got := backplanetest.MustSnapshot(t, node, topics...); len(got) != count/2 {
				t.Errorf("%d topics have a state, want %d", len(got), count/2)
			}
		})
	}
	herd.Wait()
	if read := gets(t, client) - before; read < count || read > 10*count {
		t.Errorf("%d keys were read for %d clients that want %d", read, clients, count)
	}
}

// gets returns how many GET commands a server has executed.
func gets(t *testing.T, client *goredis.Client) int {
	t.Helper()
	text, err := client.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(text, "cmdstat_get:calls=")
	if !ok {
		return 0
	}
	number, _, _ := strings.Cut(rest, ",")
	n, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
