package rtetest

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// clusterSlots is the number of slots of a Redis Cluster.
const clusterSlots = 16384

// Cluster is a Redis Cluster of a test. Each master has the same number of slots. The replica of master i is server
// masters + i.
type Cluster struct {
	Servers []*Redis

	t       testing.TB
	masters int
}

// MustStartCluster starts a cluster and waits until it works. timeout is the time after which a server counts as down.
func MustStartCluster(t testing.TB, masters, replicas int, timeout time.Duration) *Cluster {
	t.Helper()
	c := &Cluster{t: t, masters: masters}
	for range masters + replicas {
		_, bus, _ := net.SplitHostPort(MustFreeAddr(t))
		c.Servers = append(c.Servers, MustStartRedis(t, "--cluster-enabled", "yes", "--cluster-port", bus,
			"--cluster-node-timeout", strconv.FormatInt(timeout.Milliseconds(), 10), "--cluster-replica-validity-factor", "0"))
		c.must(len(c.Servers)-1, "CLUSTER", "SET-CONFIG-EPOCH", len(c.Servers))
		c.meet(len(c.Servers)-1, bus)
	}
	for i := range masters {
		c.must(i, "CLUSTER", "ADDSLOTSRANGE", i*clusterSlots/masters, (i+1)*clusterSlots/masters-1)
	}
	c.waitFor("all to know all", func(i int) bool {
		return strings.Count(c.text(i, "CLUSTER", "NODES"), "connected") == len(c.Servers)
	})
	for i := range replicas {
		c.must(masters+i, "CLUSTER", "REPLICATE", c.ID(i%masters))
	}
	c.WaitHealthy()
	c.waitFor("the replicas", func(i int) bool {
		return strings.Count(c.text(i, "CLUSTER", "NODES"), "slave") == replicas &&
			(i < masters || strings.Contains(c.text(i, "INFO", "replication"), "master_link_status:up"))
	})
	return c
}

// meet introduces a server to the first one.
func (c *Cluster) meet(i int, bus string) {
	c.t.Helper()
	host, port, _ := net.SplitHostPort(c.Servers[i].Addr)
	c.must(0, "CLUSTER", "MEET", host, port, bus)
}

// ID returns the name of a server in the cluster.
func (c *Cluster) ID(i int) string { return c.text(i, "CLUSTER", "MYID") }

// WaitHealthy waits until all running servers report a healthy cluster.
func (c *Cluster) WaitHealthy() {
	c.t.Helper()
	c.waitFor("a healthy cluster", func(i int) bool {
		text := c.text(i, "CLUSTER", "INFO")
		return text == "" || strings.Contains(text, "cluster_state:ok")
	})
}

// MoveSlot moves a slot and its keys from one master to another.
func (c *Cluster) MoveSlot(slot, from, to int) {
	c.t.Helper()
	c.must(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", c.ID(from))
	c.must(from, "CLUSTER", "SETSLOT", slot, "MIGRATING", c.ID(to))
	host, port, _ := net.SplitHostPort(c.Servers[to].Addr)
	client := c.Servers[from].Client()
	defer client.Close()
	for {
		keys, err := client.ClusterGetKeysInSlot(context.Background(), slot, 100).Result()
		if err != nil {
			c.t.Fatalf("keys in slot: %v", err)
		}
		if len(keys) == 0 {
			break
		}
		args := []any{"MIGRATE", host, port, "", 0, 5000, "KEYS"}
		for _, key := range keys {
			args = append(args, key)
		}
		c.must(from, args...)
	}
	c.must(to, "CLUSTER", "SETSLOT", slot, "NODE", c.ID(to))
	c.must(from, "CLUSTER", "SETSLOT", slot, "NODE", c.ID(to))
}

// Drain moves all slots of a master, and the keys in them, to other masters.
func (c *Cluster) Drain(from int, to ...int) {
	c.t.Helper()
	client := c.Servers[from].Client()
	defer client.Close()
	ctx := context.Background()
	for _, r := range c.slots(from, from) {
		empty := map[int][]int{} // slots without keys, by their new owner
		for slot := int(r.Start); slot <= int(r.End); slot++ {
			next := to[slot%len(to)]
			if client.ClusterCountKeysInSlot(ctx, slot).Val() > 0 {
				c.MoveSlot(slot, from, next)
			} else {
				empty[next] = append(empty[next], slot)
			}
		}
		for next, slots := range empty {
			c.setSlots(next, slots, "IMPORTING", c.ID(from))
			c.setSlots(from, slots, "MIGRATING", c.ID(next))
			// the drained master may become a replica of the owner of its last slot when it learns of the move
			c.setSlots(next, slots, "NODE", c.ID(next))
		}
	}
	c.waitFor("the slots to have moved", func(i int) bool { return len(c.slots(i, from)) == 0 })
}

// setSlots sends CLUSTER SETSLOT for several slots to a server.
func (c *Cluster) setSlots(i int, slots []int, what, id string) {
	c.t.Helper()
	client := c.Servers[i].Client()
	defer client.Close()
	ctx := context.Background()
	pipe := client.Pipeline()
	for _, slot := range slots {
		pipe.Do(ctx, "CLUSTER", "SETSLOT", slot, what, id)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		c.t.Fatalf("setslot %s: %v", what, err)
	}
}

// Forget makes the running servers forget a server that does not run.
func (c *Cluster) Forget(id string) {
	c.t.Helper()
	for i := range c.Servers {
		if strings.Contains(c.text(i, "CLUSTER", "NODES"), id) {
			c.must(i, "CLUSTER", "FORGET", id)
		}
	}
}

// slots returns the slots of a master in the view of server i, none if that server does not answer.
func (c *Cluster) slots(i, master int) (own []goredis.SlotRange) {
	client := c.Servers[i].Client()
	defer client.Close()
	shards, _ := client.ClusterShards(context.Background()).Result()
	for _, shard := range shards {
		for _, n := range shard.Nodes {
			if n.Role == "master" && int(n.Port) == c.Servers[master].Port() {
				own = append(own, shard.Slots...)
			}
		}
	}
	return own
}

// Owner returns the index of the server that reports to be the master of a slot, -1 if there is none.
func (c *Cluster) Owner(slot int) int {
	for i := range c.Servers {
		for _, s := range c.slots(i, i) {
			if int(s.Start) <= slot && slot <= int(s.End) {
				return i
			}
		}
	}
	return -1
}

// Replica returns the index of the replica of a master.
func (c *Cluster) Replica(master int) int {
	c.t.Helper()
	for i := range c.Servers {
		if strings.Contains(c.text(i, "INFO", "replication"), fmt.Sprintf("master_port:%d\r", c.Servers[master].Port())) {
			return i
		}
	}
	c.t.Fatalf("server %d has no replica", master)
	return -1
}

// Addrs returns the addresses of the first masters.
func (c *Cluster) Addrs() (all []string) {
	for _, r := range c.Servers[:c.masters] {
		all = append(all, r.Addr)
	}
	return all
}

// must sends a command to a server and fails the test on an error.
func (c *Cluster) must(i int, args ...any) {
	c.t.Helper()
	client := c.Servers[i].Client()
	defer client.Close()
	if err := client.Do(context.Background(), args...).Err(); err != nil {
		c.t.Fatalf("%v: %v", args, err)
	}
}

// text returns a server's answer, empty if it does not answer.
func (c *Cluster) text(i int, args ...any) string {
	client := c.Servers[i].Client()
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	text, _ := client.Do(ctx, args...).Text()
	return text
}

// waitFor waits until a condition holds for every server.
func (c *Cluster) waitFor(what string, condition func(i int) bool) {
	c.t.Helper()
	deadline := time.Now().Add(Patience)
	for i := range c.Servers {
		for !condition(i) {
			if time.Now().After(deadline) {
				c.t.Fatalf("waited for %s: server %d reports\n%s", what, i, c.text(i, "CLUSTER", "NODES"))
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}
