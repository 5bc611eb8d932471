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

// topicOf returns a topic whose lane is in a slot of the first of three masters, and in none of the taken slots.
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

// A lane whose slot had just moved was subscribed. The node took MOVED for an error of all lanes of that master and
// retried without end, so that no further lane was confirmed there.
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

// The journals of two lanes were read while their slots moved. ASK and then MOVED kept both repairers of the master
// busy for ever, even after the lanes belonged to another master, and a third lane with a gap stayed held.
func TestBackplane_journalsOfMovingSlots(t *testing.T) {
	c := rtetest.MustStartCluster(t, 3, 0, 5*time.Second)
	node, sink, metrics := mustNode(
		t, redis.Options{Addresses: c.Addrs(), Cluster: true, CheckInterval: 20 * time.Millisecond},
	)
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
		waitFor(t, "a read of the journal", func() bool {
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

// A lane was given up whose slot had just moved. The server had already ended the subscription, which was taken for
// the answer, and then refused the command with MOVED: the connection ended, and all lanes of that master were
// subscribed anew.
func TestBackplane_lanesLeaveMovedSlots(t *testing.T) {
	c := rtetest.MustStartCluster(t, 3, 0, 5*time.Second)
	node, sink, metrics := mustNode(t, redis.Options{Addresses: c.Addrs(), Cluster: true, Linger: time.Millisecond})
	taken := map[int]bool{}
	stayed, _, _ := topicOf(taken)
	moved, lane, slot := topicOf(taken)
	backplanetest.MustAcquire(t, node, stayed, moved)
	from, to := c.Servers[0].Client(), c.Servers[1].Client()
	defer from.Close()
	defer to.Close()
	if err := to.Do(t.Context(), "CLUSTER", "SETSLOT", slot, "IMPORTING", c.ID(0)).Err(); err != nil {
		t.Fatal(err)
	}
	// A busy server executes the next command of the same client before it reads those of others.
	pipe := from.Pipeline()
	pipe.Eval(t.Context(), `local function now() local t = redis.call('TIME') return t[1] * 1000 + t[2] / 1000 end
		local start = now()
		while now() - start < 500 do end
		return 1`, nil)
	pipe.Do(t.Context(), "CLUSTER", "SETSLOT", slot, "NODE", c.ID(1))
	busy := make(chan error, 1)
	go func() {
		_, err := pipe.Exec(t.Context())
		busy <- err
	}()
	lasts(100 * time.Millisecond)
	node.Release([]events.Topic{moved})
	if err := <-busy; err != nil {
		t.Fatal(err)
	}
	if err := to.Do(t.Context(), "CLUSTER", "SETSLOT", slot, "NODE", c.ID(1)).Err(); err != nil {
		t.Fatal(err)
	}
	backplanetest.MustPublish(t, node, backplanetest.NewEvent(stayed, 1))
	sink.WaitTopic(t, stayed, 1)
	backplanetest.MustAcquire(t, node, moved)
	backplanetest.MustPublish(t, node, backplanetest.NewEvent(moved, 2))
	sink.WaitTopic(t, moved, 1)
	// A machine that stalls may also delay the answers of the busy server: that ends a connection as silent.
	for _, reason := range []string{"dial", "lost", "protocol", "switched"} {
		if n := (&rigNode{metrics: metrics}).value(t, "rte_backplane_epochs_total", reason); n > 0 {
			t.Errorf("%.0f connections ended (%s); the slot of %s moved", n, reason, lane)
		}
	}
}
