package redis_test

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/backplanetest"
	"github.com/rte-server/rte-server/internal/backplane/redis"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// pair is two nodes that subscribe the same topic. One is connected through a proxy.
type pair struct {
	proxy           *rtetest.Proxy
	client          *goredis.Client
	topic           events.Topic
	lane            string
	sink, otherSink *backplanetest.Recorder
	metrics         *prometheus.Registry // of the node behind the proxy
}

// mustPair makes a pair. change changes the options of the node behind the proxy.
func mustPair(t *testing.T, change func(*redis.Options)) *pair {
	t.Helper()
	server := rtetest.MustStartRedis(t)
	topic := backplanetest.Topic(events.NewID(), events.NewID())
	p := &pair{
		proxy: rtetest.MustStartProxy(t, server.Addr), client: server.Client(),
		topic: topic, lane: backplane.Layout{}.Lane(topic.Organization, topic.Entity),
	}
	t.Cleanup(func() { p.client.Close() })
	o := patient(p.proxy.Addr)
	change(&o)
	node, sink, metrics := mustNode(t, o)
	other, otherSink, _ := mustNode(t, patient(server.Addr))
	p.sink, p.otherSink, p.metrics = sink, otherSink, metrics
	backplanetest.MustAcquire(t, node, topic)
	backplanetest.MustAcquire(t, other, topic)
	return p
}

// A publisher sent a peer query in the name of a node, about a repair far in the future. The node then took its own
// queries for old ones, and ignored their answers.
func TestPeerQuery_ignoresForgedQueries(t *testing.T) {
	p := mustPair(t, func(*redis.Options) {})
	publish := func(channel, text string) {
		t.Helper()
		if err := p.client.Publish(t.Context(), channel, text).Err(); err != nil {
			t.Fatal(err)
		}
	}
	channels, err := p.client.PubSubChannels(t.Context(), "rte:peer:*").Result()
	if err != nil || len(channels) != 2 {
		t.Fatalf("channels %v, %v", channels, err)
	}
	for _, channel := range channels {
		publish(p.lane, `?{"node":"`+strings.TrimPrefix(channel, "rte:peer:")+`","generation":18446744073709551615}`)
		publish(channel, `{"lane":"`+p.lane+`","generation":18446744073709551615,"by":"x"}`+"\n")
	}
	publish(p.lane, string(backplanetest.NewEvent(p.topic, 1).JSON()))
	p.sink.Wait(t, 1)
	p.proxy.Blackhole()
	publish(p.lane, string(backplanetest.NewEvent(p.topic, 2).JSON()))
	p.otherSink.Wait(t, 2)
	p.proxy.Cut()
	p.proxy.Open()
	p.sink.Wait(t, 2)
	n := &rigNode{metrics: p.metrics}
	if answers, lost := n.value(
		t, "rte_backplane_peer_answers_total",
	), n.value(t, "rte_backplane_losses_total"); answers != 1 || lost != 0 {
		t.Errorf("%.0f answers came, %.0f losses were reported", answers, lost)
	}
}

// A part of an answer exceeded the queue of a node's channel. The node took the following part for the whole answer,
// and reported no loss of the missing one.
func TestPeerQuery_missingPartIsReported(t *testing.T) {
	p := mustPair(t, func(o *redis.Options) { o.LaneQueue = 128 << 10 }) // half a part
	publish := func(number int) {
		t.Helper()
		ev := backplanetest.NewEvent(p.topic, number)
		ev.Padding = 10 << 10
		if err := p.client.Publish(t.Context(), p.lane, ev.JSON()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	publish(1)
	p.sink.Wait(t, 1)
	p.proxy.Blackhole()
	const count = 30 // two parts, of which the second one fits
	for number := range count {
		publish(2 + number)
	}
	p.otherSink.Wait(t, 1+count)
	p.proxy.Cut()
	p.proxy.Open()
	waitFor(t, "all events, or a reported loss", func() bool {
		return p.sink.Count() == 1+count || (&rigNode{metrics: p.metrics}).value(t, "rte_backplane_losses_total") > 0
	})
}
