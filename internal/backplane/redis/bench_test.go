package redis_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/backplanetest"
	"github.com/rte-server/rte-server/internal/backplane/redis"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// burst makes Redis publish events by itself, so that the receiving process does nothing else. KEYS are the lanes;
// ARGV are the number of events, the number of the first one, and the text before and after the varying part of their
// Ids.
const burst = `for i = 0, ARGV[1] - 1 do
  local at = 2 * (i % #KEYS)
  redis.call('PUBLISH', KEYS[i % #KEYS + 1], ARGV[at + 3] .. string.format('%012x', ARGV[2] + i) .. ARGV[at + 4])
end
return 0`

// burstSize is how many events of 1 KB Redis publishes at a time: 20 MB.
const burstSize = 20_000

// source publishes bursts to lanes.
type source struct {
	client *goredis.Client
	lanes  []string
	texts  []any
	first  int
}

func newSource(b *testing.B, server *rtetest.Redis, topics []events.Topic) *source {
	b.Helper()
	s := &source{
		client: goredis.NewClient(&goredis.Options{Addr: server.Addr, ReadTimeout: time.Minute, Protocol: 2}), first: 1,
	}
	b.Cleanup(func() { _ = s.client.Close() })
	for _, topic := range topics {
		// The last 12 digits of the Id are the number.
		before, after, _ := strings.Cut(eventText(topic, 1024), "000000000000")
		s.texts = append(s.texts, before, after)
		s.lanes = append(s.lanes, backplane.Layout{}.Lane(topic.Organization, topic.Entity))
	}
	return s
}

// eventText returns an event of the given size, as publishers send it; type-specific fields are those of a call. Its
// Id ends with zeros.
func eventText(topic events.Topic, size int) string {
	d := events.Builtin().Definition(topic.Type)
	text := fmt.Sprintf(`{"Id":"0d3a8b1c-7e55-4f3a-9b60-000000000000","RootEntityType":"Organization","RootEntityId":%q,`+
		`"OrganizationId":%[1]q,"EntityType":%q,"EntityId":%q,"EventType":%q,"Timestamp":"2026-01-01T12:00:00Z",`+
		`"MessageTTLSeconds":60,"CallId":%[3]q,"LegId":%[3]q,"UserIdCalled":%[3]q,"CallerNumber":"+4915112345678",`+
		`"TargetNumber":"+493012345678","CallEventPublicityCategory":"Public","UserName":"`,
		topic.Organization, d.Kind, topic.Entity, d.Name)
	return text + strings.Repeat("x", size-len(text)-2) + `"}`
}

// publish publishes n events and waits until count has grown by n.
func (s *source) publish(b *testing.B, n int, count *atomic.Int64) {
	b.Helper()
	for n > 0 {
		size := min(n, burstSize)
		want := count.Load() + int64(size)
		args := append([]any{size, s.first}, s.texts...)
		if err := s.client.Eval(context.Background(), burst, s.lanes, args...).Err(); err != nil {
			b.Fatalf("publish: %v", err)
		}
		for deadline := time.Now().Add(rtetest.Patience); count.Load() < want; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				b.Fatalf("%d of %d events arrived", count.Load()-want+int64(size), size)
			}
		}
		n -= size
		s.first += size
	}
}

// cpu returns the processor time of this process.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatalf("getrusage: %v", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// counter is a Sink that looks up subscribers, and may have some.
type counter struct {
	subscribed map[events.Topic]int
	all        atomic.Int64
}

func (c *counter) Wants(topic events.Topic) bool {
	if c.subscribed[topic] > 0 {
		return true
	}
	c.all.Add(1)
	return false
}

func (c *counter) Offer(ev *events.Event) bool {
	c.Dispatch(ev)
	return true
}

func (c *counter) Dispatch(ev *events.Event) {
	if c.subscribed[ev.Topic] >= 0 {
		c.all.Add(1)
	}
}

// BenchmarkReceive measures the processor time of an event of 1 KB from the socket to the sink, on one core. For
// comparison, it measures a program that reads go-redis' PubSub.Channel and drops the messages.
func BenchmarkReceive(b *testing.B) {
	server := rtetest.MustStartRedis(b, "--client-output-buffer-limit", "pubsub 0 0 0")
	topics := map[events.Type][]events.Topic{}
	for range 16 {
		topic := backplanetest.Topic(events.NewID(), events.NewID())
		for _, topic.Type = range []events.Type{events.UserStatus, events.UserCallInArrived} {
			topics[topic.Type] = append(topics[topic.Type], topic)
		}
	}
	measure := func(b *testing.B, s *source, count *atomic.Int64) {
		b.Helper()
		s.publish(b, burstSize, count) // buffers have grown to their size
		runtime.GC()
		b.ReportAllocs()
		b.ResetTimer()
		before := cpu(b)
		s.publish(b, b.N, count)
		used := cpu(b) - before
		b.ReportMetric(float64(used.Nanoseconds())/float64(b.N), "cpu-ns/event")
		b.ReportMetric(float64(b.N)/used.Seconds(), "events/cpu-s")
	}
	for _, test := range []struct {
		name        string
		event       events.Type
		subscribers int
	}{
		{"dropped", events.UserCallInArrived, 0},
		{"1Subscriber", events.UserCallInArrived, 1},
		{"droppedState", events.UserStatus, 0},
	} {
		topics := topics[test.event]
		b.Run(test.name, func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			sink := &counter{subscribed: map[events.Topic]int{}}
			for _, topic := range topics {
				sink.subscribed[topic] = test.subscribers
			}
			node := mustRun(b, redis.Options{
				Options: backplane.Options{
					Catalog: events.Builtin(), Decoder: events.NewIngress(events.IngressOptions{Catalog: events.Builtin()}),
					Sink: sink,
				},
				Addresses: []string{server.Addr}, LaneQueue: 64 << 20,
			})
			waitHealth(b, node, true)
			backplanetest.MustAcquire(b, node, topics...)
			measure(b, newSource(b, server, topics), &sink.all)
		})
	}
	b.Run("bytes", func(b *testing.B) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		node, _, _ := mustNode(b, redis.Options{Addresses: []string{server.Addr}, LaneQueue: 64 << 20})
		var count atomic.Int64
		s := newSource(b, server, topics[events.UserStatus])
		for _, lane := range s.lanes {
			node.Serve(lane, func([]byte) { count.Add(1) })
		}
		waitFor(b, "all are subscribed", func() bool {
			return s.client.PubSubNumSub(context.Background(), s.lanes[15]).Val()[s.lanes[15]] > 0
		})
		measure(b, s, &count)
	})
	b.Run("goRedisChannel", func(b *testing.B) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		s := newSource(b, server, topics[events.UserCallInArrived])
		client := server.Client()
		defer client.Close()
		sub := client.Subscribe(context.Background(), s.lanes...)
		var count atomic.Int64
		ended := make(chan struct{})
		for range s.lanes {
			if _, err := sub.Receive(context.Background()); err != nil {
				b.Fatalf("subscribe: %v", err)
			}
		}
		go func() {
			defer close(ended)
			for range sub.Channel() {
				count.Add(1)
			}
		}()
		measure(b, s, &count)
		_ = sub.Close()
		<-ended
	})
}
