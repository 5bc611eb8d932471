package redis_test

import (
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/backplanetest"
	"github.com/rte-server/rte-server/internal/backplane/redis"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// topicOf finds a topic whose lane has a slot of the first of three masters, and none of those given.
func topicOf(taken map[int]bool) (topic events.Topic, lane string, slot int) {
	for {
		topic = backplanetest.Topic(events.NewID(), events.NewID())
		lane = backplane.Layout{}.Lane(topic.Organization, topic.Entity)
		if slot = redis.Slot(lane); slot < 16384/3 && !taken[slot] {
			taken[slot] = true
			return topic, lane, slot
		}
	}
}

// A lane was asked for whose slot had just moved: MOVED was taken for an error of all lanes of that master, and asked
// again without an end, so that no further lane was confirmed there.
func TestBackplane_newLaneOfMovedSlot(t *testing.T) {
	c := rtetest.MustStartCluster(t, 3, 0, 5*time.Second)
	node, _, _ := mustNode(t, redis.Options{Addresses: c.Addrs(), Cluster: true})
	taken := map[int]bool{}
	moved, _, slot := topicOf(taken)
	stayed, _, _ := topicOf(taken)
	c.MoveSlot(slot, 0, 1)
	backplanetest.MustAcquire(t, node, moved)
	backplanetest.MustAcquire(t, node, stayed)
}

// The journals of two lanes were read while their slots moved: ASK and then MOVED kept both readers of the master busy
// for ever, also when the lanes had long been another master's, and what arrived on a third lane with a gap was held.
func TestBackplane_journalsOfMovingSlots(t *testing.T) {
	c := rtetest.MustStartCluster(t, 3, 0, 5*time.Second)
	node, sink, metrics := mustNode(t, redis.Options{Addresses: c.Addrs(), Cluster: true, CheckInterval: 20 * time.Millisecond})
	from, to := c.Servers[0].Client(), c.Servers[1].Client()
	defer from.Close()
	defer to.Close()
	taken := map[int]bool{}
	stayed, lane, _ := topicOf(taken)
	backplanetest.MustAcquire(t, node, stayed)
	backplanetest.MustPublish(t, node, backplanetest.NewEvent(stayed, 1))
	for n := range 2 {
		moved, lane, slot := topicOf(taken)
		backplanetest.MustAcquire(t, node, moved)
		if err := to.Do(t.Context(), "CLUSTER", "SETSLOT", slot, "IMPORTING", c.ID(0)).Err(); err != nil {
			t.Fatal(err)
		}
		if err := from.Do(t.Context(), "CLUSTER", "SETSLOT", slot, "MIGRATING", c.ID(1)).Err(); err != nil {
			t.Fatal(err)
		}
		before := (&rigNode{metrics: metrics}).value(t, "rte_backplane_journal_errors_total")
		if err := from.SPublish(t.Context(), lane, backplanetest.NewEvent(moved, n).JSON()).Err(); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "the journal is asked for", func() bool {
			return (&rigNode{metrics: metrics}).value(t, "rte_backplane_journal_errors_total") > before
		})
		c.MoveSlot(slot, 0, 1)
	}
	gap := backplanetest.NewEvent(stayed, 2)
	if err := from.Incr(t.Context(), "rte:n:{"+lane+"}").Err(); err != nil {
		t.Fatal(err)
	}
	if err := from.Do(t.Context(), "XADD", "rte:j:{"+lane+"}", "*", "n", "2", "d", gap.JSON()).Err(); err != nil {
		t.Fatal(err)
	}
	backplanetest.MustPublish(t, node, backplanetest.NewEvent(stayed, 3))
	sink.WaitTopic(t, stayed, 3)
}
