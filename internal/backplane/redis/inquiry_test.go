package redis_test

import (
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/backplanetest"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// Somebody who may publish said in the name of a node that it had asked about a repair of the far future. The node then
// took its own questions for old ones, and no answer for theirs.
func TestInquiry_othersDoNotAskForANode(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	proxy := rtetest.MustStartProxy(t, server.Addr)
	node, sink, metrics := mustNode(t, quick(proxy.Addr))
	other, otherSink, _ := mustNode(t, quick(server.Addr))
	topic := backplanetest.Topic(events.NewID(), events.NewID())
	backplanetest.MustAcquire(t, node, topic)
	backplanetest.MustAcquire(t, other, topic)
	client := server.Client()
	defer client.Close()
	lane := backplane.Layout{}.Lane(topic.Organization, topic.Entity)
	publish := func(channel, text string) {
		t.Helper()
		if err := client.Publish(t.Context(), channel, text).Err(); err != nil {
			t.Fatal(err)
		}
	}
	channels, err := client.PubSubChannels(t.Context(), "rte:peer:*").Result()
	if err != nil || len(channels) != 2 {
		t.Fatalf("channels %v, %v", channels, err)
	}
	for _, channel := range channels {
		publish(lane, `?{"node":"`+strings.TrimPrefix(channel, "rte:peer:")+`","generation":18446744073709551615}`)
		publish(channel, `{"lane":"`+lane+`","generation":18446744073709551615,"by":"x"}`+"\n")
	}
	publish(lane, string(backplanetest.NewEvent(topic, 1).JSON()))
	sink.Wait(t, 1)
	proxy.Blackhole()
	publish(lane, string(backplanetest.NewEvent(topic, 2).JSON()))
	otherSink.Wait(t, 2)
	proxy.Cut()
	proxy.Open()
	sink.Wait(t, 2)
	n := &rigNode{metrics: metrics}
	if answers, lost := n.value(t, "rte_backplane_peer_answers_total"), n.value(t, "rte_backplane_losses_total"); answers != 1 || lost != 0 {
		t.Errorf("%.0f answers came, %.0f losses were told", answers, lost)
	}
}

// A part of an answer did not fit into what may wait on a node's channel. What came behind it was taken for the whole answer,
// and nobody was told of what the part had.
func TestInquiry_partIsMissing(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	proxy := rtetest.MustStartProxy(t, server.Addr)
	o := quick(proxy.Addr)
	o.LaneQueue = 128 << 10 // half a part
	node, sink, metrics := mustNode(t, o)
	other, otherSink, _ := mustNode(t, quick(server.Addr))
	topic := backplanetest.Topic(events.NewID(), events.NewID())
	backplanetest.MustAcquire(t, node, topic)
	backplanetest.MustAcquire(t, other, topic)
	client := server.Client()
	defer client.Close()
	lane := backplane.Layout{}.Lane(topic.Organization, topic.Entity)
	publish := func(number int) {
		t.Helper()
		ev := backplanetest.NewEvent(topic, number)
		ev.Padding = 10 << 10
		if err := client.Publish(t.Context(), lane, ev.JSON()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	publish(1)
	sink.Wait(t, 1)
	proxy.Blackhole()
	const count = 30 // two parts, of which the second one fits
	for number := range count {
		publish(2 + number)
	}
	otherSink.Wait(t, 1+count)
	proxy.Cut()
	proxy.Open()
	waitFor(t, "listeners have all events, or are told of a loss", func() bool {
		return sink.Count() == 1+count || (&rigNode{metrics: metrics}).value(t, "rte_backplane_losses_total") > 0
	})
}
