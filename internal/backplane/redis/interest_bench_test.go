package redis_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/backplanetest"
	"github.com/rte-server/rte-server/internal/backplane/redis"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// elsewhere makes Redis publish by itself to lanes that the node does not want. ARGV are the number of events and the
// event.
const elsewhere = `for i = 1, ARGV[1] do
  redis.call('PUBLISH', string.format('rte:org:%08x-0000-0000-0000-000000000000', i), ARGV[2])
end
return 0`

// BenchmarkInterest measures the processor time of a node that wants 10 of 10,000 lanes with events, relative to a
// node where only its 10 lanes have events. An operation is an event on each lane, 10 times a second. The two
// alternate every second.
func BenchmarkInterest(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const (
		wanted, all = 10, 10_000
		pause       = time.Second / 10
		turn        = 10
	)
	server := rtetest.MustStartRedis(b)
	sink := &counter{subscribed: map[events.Topic]int{}}
	var topics []events.Topic
	for range wanted {
		topic := backplanetest.Topic(events.NewID(), events.NewID())
		topic.Type = events.UserCallInArrived
		sink.subscribed[topic] = 1
		topics = append(topics, topic)
	}
	catalog := events.Builtin()
	node := mustRun(b, redis.Options{
		Options: backplane.Options{
			Catalog: catalog, Decoder: events.NewIngress(events.IngressOptions{Catalog: catalog}), Sink: sink,
		},
		Addresses: []string{server.Addr},
	})
	waitHealth(b, node, true)
	backplanetest.MustAcquire(b, node, topics...)
	s, text := newSource(b, server, topics), eventText(topics[0], 1024)
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	round := func(others int) {
		if err := s.client.Eval(context.Background(), elsewhere, nil, others, text).Err(); err != nil {
			b.Fatalf("publish: %v", err)
		}
		s.publish(b, wanted, &sink.all)
	}
	var used [2]time.Duration
	round(all)
	runtime.GC()
	b.ResetTimer()
	for i := range 2 * b.N {
		few := i / turn % 2
		before := cpu(b)
		round((all - wanted) * (1 - few))
		<-ticker.C
		used[few] += cpu(b) - before
	}
	b.ReportMetric(float64(used[0].Microseconds())/float64(b.N), "cpu-us/10000lanes")
	b.ReportMetric(float64(used[1].Microseconds())/float64(b.N), "cpu-us/10lanes")
	b.ReportMetric(float64(used[0])/float64(used[1]), "ratio")
}
