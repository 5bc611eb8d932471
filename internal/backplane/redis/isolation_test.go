package redis_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/backplanetest"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// bursts publishes more on a lane at once than Redis buffers for a subscriber.
func bursts(t *testing.T, client *goredis.Client, topic events.Topic, messages, size int) {
	t.Helper()
	message := strings.TrimSuffix(string(backplanetest.NewEvent(topic, 0).JSON()), "}")
	message += `,"More":"` + strings.Repeat("x", size) + `"}`
	lane := backplane.Layout{}.Lane(topic.Organization, topic.Entity)
	if _, err := client.TxPipelined(t.Context(), func(p goredis.Pipeliner) error {
		for range messages {
			p.Publish(context.Background(), lane, message)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// A publisher of one organization published so much at once that Redis cut the only connection of the node: all other
// organizations lost their events, and the server closed their clients. Here others publish without a journal, the
// tier that an interruption always costs events.
func TestIsolation_burstOfOneOrganization(t *testing.T) {
	for name, burst := range map[string]struct{ messages, size int }{
		"few large messages":  {4, 3 << 20},
		"many valid messages": {100, 100 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			server := rtetest.MustStartRedis(t, "--client-output-buffer-limit", "pubsub 8mb 8mb 30")
			client := server.Client()
			defer client.Close()
			g := newGate(events.ID{})
			metrics := prometheus.NewRegistry()
			o := patient(server.Addr)
			o.Catalog, o.Sink, o.Losses, o.Registerer = events.Builtin(), g, g, metrics
			node := mustRun(t, o)
			waitHealth(t, node, true)
			attacker, other := backplanetest.Topic(
				events.NewID(), events.NewID(),
			), backplanetest.Topic(events.NewID(), events.NewID())
			backplanetest.MustAcquire(t, node, attacker, other)
			lane := backplane.Layout{}.Lane(other.Organization, other.Entity)
			const count = 50
			for number := range count {
				if number%10 == 5 {
					bursts(t, client, attacker, burst.messages, burst.size)
				}
				if err := client.Publish(t.Context(), lane, backplanetest.NewEvent(other, number).JSON()).Err(); err != nil {
					t.Fatal(err)
				}
				lasts(10 * time.Millisecond)
			}
			g.WaitTopic(t, other, count)
			if cuts := (&rigNode{metrics: metrics}).value(t, "rte_backplane_epochs_total", "lost"); cuts == 0 {
				t.Error("no connection was cut")
			}
			if n := g.lost(other.Organization); n > 0 {
				t.Errorf("the other organization had %d losses", n)
			}
		})
	}
}

// With more organizations than connections, some share one with an attacker. Repeated bursts leave it alone.
func TestIsolation_repeatedBursts(t *testing.T) {
	server := rtetest.MustStartRedis(t, "--client-output-buffer-limit", "pubsub 8mb 8mb 30")
	client := server.Client()
	defer client.Close()
	g := newGate(events.ID{})
	o := patient(server.Addr)
	o.Catalog, o.Sink, o.Losses = events.Builtin(), g, g
	o.Connections = 2
	node := mustRun(t, o)
	waitHealth(t, node, true)
	attacker := backplanetest.Topic(events.NewID(), events.NewID())
	topics := []events.Topic{attacker}
	for range 15 {
		topics = append(topics, backplanetest.Topic(events.NewID(), events.NewID()))
	}
	backplanetest.MustAcquire(t, node, topics...)
	losses := func() (count int) {
		for _, topic := range topics[1:] {
			count += g.lost(topic.Organization)
		}
		return count
	}
	quiet := 0
	for round := 0; quiet < 3; round++ {
		if round == 40 {
			t.Fatal("others still lose events")
		}
		before, own := losses(), g.lost(attacker.Organization)
		for _, topic := range topics[1:] { // without a journal, so that an interruption is a loss
			lane := backplane.Layout{}.Lane(topic.Organization, topic.Entity)
			if err := client.Publish(t.Context(), lane, backplanetest.NewEvent(topic, round).JSON()).Err(); err != nil {
				t.Fatal(err)
			}
		}
		lasts(1200 * time.Millisecond) // so that each cut is that of one connection
		bursts(t, client, attacker, 100, 100<<10)
		waitFor(t, "the loss of the attacker", func() bool { return g.lost(attacker.Organization) > own })
		waitHealth(t, node, true)
		lasts(200 * time.Millisecond)
		if quiet++; losses() > before {
			quiet = 0
		}
	}
	t.Log(strings.TrimSpace(fmt.Sprintf("%d losses of others", losses())))
}
