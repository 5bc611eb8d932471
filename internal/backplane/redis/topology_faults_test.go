//go:build faults

package redis_test

import (
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/backplane/redis"
	"github.com/rte-server/rte-server/internal/rtetest"
)

func TestFault_connectionKilledWith600000Lanes(t *testing.T) { manyLanes(t, 600_000) }

// downAfter is the time after which Sentinels consider a master down.
const downAfter = 1500 * time.Millisecond

// The rates of the long tests, in events per second.
var (
	full     = [tiers]int{tier0: 500, tier1: 500, tier2: 4000}
	moderate = [tiers]int{tier0: 100, tier1: 100, tier2: 1000}
)

// sentinelRig is a rig with two nodes behind Sentinels, and with that load.
func sentinelRig(t *testing.T, load [tiers]int) (*rtetest.Sentinels, *rig) {
	t.Helper()
	s := rtetest.MustStartSentinels(t, downAfter)
	client := goredis.NewFailoverClient(&goredis.FailoverOptions{
		MasterName: rtetest.SentinelMaster, SentinelAddrs: s.Addrs,
		MaxRetries: -1, Protocol: 2, ReadTimeout: time.Second, DialTimeout: time.Second,
	})
	t.Cleanup(func() { _ = client.Close() })
	r := newRig(t, client, 16)
	for range 2 {
		r.node(redis.Options{Addresses: s.Addrs, SentinelMaster: rtetest.SentinelMaster})
	}
	r.publish(load)
	lasts(time.Second)
	return s, r
}

func TestFault_sentinelMasterKilled(t *testing.T) {
	s, r := sentinelRig(t, full)
	master := s.Master()
	master.Kill()
	s.WaitForMasterOtherThan(master)
	lasts(4 * time.Second)
	r.checkForks("Sentinel, master killed")
}

func TestFault_sentinelMasterFrozen(t *testing.T) {
	s, r := sentinelRig(t, full)
	master := s.Master()
	master.Freeze()
	s.WaitForMasterOtherThan(master)
	lasts(4 * time.Second)
	master.Thaw()
	lasts(4 * time.Second)
	r.checkForks("Sentinel, master frozen")
}

func TestFault_sentinelFailover(t *testing.T) {
	s, r := sentinelRig(t, full)
	s.Failover()
	lasts(4 * time.Second)
	r.checkForks("SENTINEL FAILOVER")
}

// checkForks fails unless everything that Redis kept arrived once and in order, and every missing event was reported.
func (r *rig) checkForks(fault string) {
	r.t.Helper()
	r.stopPublishing()
	r.waitAll()
	for i, row := range r.report(fault) {
		for how, s := range row {
			if s.duplicates+s.disorders > 0 || s.unflagged > 0 {
				r.t.Errorf("node %d, T%d: %d duplicates, %d out of order, %d events are missing and not reported: %s",
					i, how, s.duplicates, s.disorders, s.unflagged, s.first)
			}
			if s.delivered == 0 {
				r.t.Errorf("node %d, T%d: nothing arrived", i, how)
			}
		}
	}
	for i, n := range r.nodes {
		if h := n.Health(); !h.Connected {
			r.t.Errorf("node %d: %s", i, h.Detail)
		}
	}
}

// clusterRig is a rig with two nodes and a cluster of three masters with a replica each, and with that load.
func clusterRig(t *testing.T, load [tiers]int) (*rtetest.Cluster, *rig) {
	t.Helper()
	c := rtetest.MustStartCluster(t, 3, 3, 1500*time.Millisecond)
	client := goredis.NewClusterClient(&goredis.ClusterOptions{
		Addrs: c.Addrs(), MaxRetries: -1, MaxRedirects: 5, Protocol: 2, ReadTimeout: time.Second, DialTimeout: time.Second,
		ClusterStateReloadInterval: time.Second, // it does not reload sooner when a server is gone
	})
	t.Cleanup(func() { _ = client.Close() })
	r := newRig(t, client, 16)
	r.cluster = true
	for range 2 {
		r.node(redis.Options{Addresses: c.Addrs(), Cluster: true})
	}
	r.publish(load)
	lasts(time.Second)
	return c, r
}

func TestFault_clusterSlotMoved(t *testing.T) {
	c, r := clusterRig(t, moderate)
	lane := r.streams[0].lane
	slot := redis.Slot(lane)
	from := slot * 3 / 16384
	c.MoveSlot(slot, from, (from+1)%3)
	lasts(2 * time.Second)
	c.MoveSlot(slot, (from+1)%3, from)
	lasts(2 * time.Second)
	r.checkForks("cluster, slot moved and moved back")
}

// A master dies, its replica takes over, and the master never comes back.
func TestFault_clusterMasterLost(t *testing.T) {
	c, r := clusterRig(t, moderate)
	lost, slot := c.ID(1), 16384/2
	c.Servers[1].Kill()
	waitFor(t, "the replica is the master", func() bool { return c.Owner(slot) >= 0 })
	c.Forget(lost)
	for _, n := range r.nodes {
		waitHealth(t, n.Backplane, true)
		waitValue(t, n.metrics, "rte_backplane_lanes", "confirmed", 16)
	}
	r.waitMore(r.nodes[0], tier2, 50)
	r.checkForks("cluster, master lost for good")
}

// A master and its replica leave the cluster after their slots went to the others.
func TestFault_clusterServerRemoved(t *testing.T) {
	c, r := clusterRig(t, moderate)
	master, replica := c.ID(2), c.ID(5)
	c.Drain(2, 0, 1)
	began := time.Now()
	for _, n := range r.nodes {
		waitHealth(t, n.Backplane, true)
		waitValue(t, n.metrics, "rte_backplane_lanes", "confirmed", 16)
	}
	confirmed := time.Since(began)
	// They end before they are forgotten: a server that was reset announces to publishers that no server has any slot,
	// and go-redis then sends each event to a random server, in no order.
	c.Servers[2].Kill()
	c.Servers[5].Kill()
	c.Forget(replica)
	c.Forget(master)
	r.waitMore(r.nodes[0], tier2, 50)
	r.check("cluster, a master and its replica removed")
	t.Logf("lanes were confirmed %s after the last slot had moved", confirmed.Round(time.Millisecond))
	if confirmed > 2*time.Second {
		t.Errorf("lanes were confirmed %s after the last slot had moved", confirmed)
	}
}

func TestFault_clusterFailover(t *testing.T) {
	c, r := clusterRig(t, moderate)
	client := c.Servers[3].Client()
	defer client.Close()
	if err := client.ClusterFailover(t.Context()).Err(); err != nil {
		t.Fatalf("cluster failover: %v", err)
	}
	lasts(4 * time.Second)
	r.checkForks("CLUSTER FAILOVER")
}
