//go:build faults

package redis_test

import (
	"slices"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/backplane/redis"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// A node detects within its probe timeout that its peer is gone, and reconnects soon after the cable is back. The rest
// allows for a busy machine.
const (
	noticed = 2*time.Second + 3*time.Second
	back    = 3*time.Second + 2*time.Second
)

// wired is a rig whose publishers and server have their own hosts.
func wired(t *testing.T) (*rtetest.Network, *rtetest.Redis, *rig) {
	t.Helper()
	network := rtetest.MustMakeNetwork(t)
	server := network.MustStartRedis()
	client := goredis.NewClient(&goredis.Options{
		Addr: server.Addr, Dialer: network.MustAddHost().Dial, MaxRetries: -1, Protocol: 2, ReadTimeout: time.Second,
		DialTimeout: time.Second,
	})
	t.Cleanup(func() { _ = client.Close() })
	return network, server, newRig(t, client, 16)
}

// without unplugs a host for some time, and checks the nodes.
func without(t *testing.T, h *rtetest.Host, span time.Duration, nodes ...*rigNode) {
	t.Helper()
	h.Unplug()
	began := time.Now()
	for _, n := range nodes {
		waitHealth(t, n.Backplane, false)
	}
	silent := time.Since(began)
	lasts(time.Until(began.Add(span)))
	h.Plug()
	began = time.Now()
	for _, n := range nodes {
		waitHealth(t, n.Backplane, true)
	}
	again := time.Since(began)
	t.Logf("noticed after %s, back after %s", silent.Round(time.Millisecond), again.Round(time.Millisecond))
	if silent > noticed || again > back {
		t.Errorf("noticed after %s, back after %s", silent, again)
	}
	for i, n := range nodes {
		if n.value(t, "rte_backplane_epochs_total", "silent") == 0 {
			t.Errorf("node %d did not detect that its peer was gone", i)
		}
	}
}

// A node's cable is cut: its connections stay open at Redis. The other node knows the missed events.
func TestFault_cableOfANode(t *testing.T) {
	network, server, r := wired(t)
	host := network.MustAddHost()
	n := r.node(redis.Options{Addresses: []string{server.Addr}, Dial: host.Dial})
	r.node(redis.Options{Addresses: []string{server.Addr}, Dial: network.MustAddHost().Dial})
	r.publish([tiers]int{tier0: 500, tier1: 500, tier2: 2000})
	r.waitDelivered(n, tier2, 50)
	without(t, host, 10*time.Second, n)
	r.waitMore(n, tier2, 50)
	r.check("cable of a node cut for 10 s")
	if ended := r.nodes[1].value(t, "rte_backplane_epochs_total"); ended > 0 {
		t.Errorf("%.0f connections of the other node ended", ended)
	}
}

// The server's cable is cut: it is unreachable, and no connection ends.
func TestFault_cableOfRedis(t *testing.T) {
	network, server, r := wired(t)
	for range 2 {
		r.node(redis.Options{Addresses: []string{server.Addr}, Dial: network.MustAddHost().Dial})
	}
	r.publish([tiers]int{tier0: 500, tier1: 500, tier2: 2000})
	r.waitDelivered(r.nodes[0], tier2, 50)
	without(t, server.Host, 20*time.Second, r.nodes...)
	r.waitMore(r.nodes[0], tier2, 50)
	r.check("cable of Redis cut for 20 s")
}

// wiredSentinels is a network with Sentinels.
func wiredSentinels(t *testing.T) (*rtetest.Network, *rtetest.Sentinels) {
	t.Helper()
	network := rtetest.MustMakeNetwork(t)
	return network, network.MustStartSentinels(downAfter)
}

// wiredRig is a rig with two nodes that follow the Sentinels, and publishes with a client.
func wiredRig(t *testing.T, network *rtetest.Network, s *rtetest.Sentinels, client goredis.UniversalClient) *rig {
	t.Helper()
	t.Cleanup(func() { _ = client.Close() })
	r := newRig(t, client, 16)
	for range 2 {
		r.node(redis.Options{Addresses: s.Addrs, SentinelMaster: rtetest.SentinelMaster, Dial: network.MustAddHost().Dial})
	}
	r.publish(full)
	r.waitDelivered(r.nodes[0], tier2, 50)
	return r
}

// follower is a client that follows the Sentinels.
func follower(network *rtetest.Network, s *rtetest.Sentinels) goredis.UniversalClient {
	return goredis.NewFailoverClient(&goredis.FailoverOptions{
		MasterName: rtetest.SentinelMaster, SentinelAddrs: s.Addrs, Dialer: network.MustAddHost().Dial,
		MaxRetries: -1, Protocol: 2, ReadTimeout: time.Second, DialTimeout: time.Second,
	})
}

// checkDemoted waits until the former master is a replica, and checks the events.
func checkDemoted(t *testing.T, s *rtetest.Sentinels, r *rig, fault string) {
	t.Helper()
	began := time.Now()
	waitReplicas(t, s.Servers, 2)
	t.Logf("the old master follows the new one after %s", time.Since(began).Round(time.Millisecond))
	r.checkForks(fault)
	for i, n := range r.nodes {
		// The probes, the timeout of the Sentinels and the election.
		if outage := n.outage(t); outage > (downAfter + 5*time.Second).Seconds() {
			t.Errorf("node %d was without Redis for %.1f s", i, outage)
		}
	}
}

func TestFault_sentinelMasterUnplugged(t *testing.T) {
	network, s := wiredSentinels(t)
	r := wiredRig(t, network, s, follower(network, s))
	master := s.Master()
	master.Host.Unplug()
	s.WaitForMasterOtherThan(master)
	lasts(4 * time.Second)
	master.Host.Plug()
	r.waitMore(r.nodes[0], tier2, 50)
	checkDemoted(t, s, r, "Sentinel, cable of the master cut")
}

// Sentinels and replicas cannot reach the master, but nodes and publishers can. There are two masters for some time,
// and one of them accepts events that will be discarded.
func TestFault_sentinelMasterParted(t *testing.T) {
	for name, follow := range map[string]bool{"publishers follow": true, "publishers stay": false} {
		t.Run(name, func(t *testing.T) {
			network, s := wiredSentinels(t)
			master := s.Master()
			client := follower(network, s)
			if !follow {
				_ = client.Close()
				client = goredis.NewClient(&goredis.Options{
					Addr: master.Addr, Dialer: network.MustAddHost().Dial, MaxRetries: -1, Protocol: 2,
				})
			}
			r := wiredRig(t, network, s, client)
			others := slices.Clone(s.Hosts)
			for _, server := range s.Servers {
				if server != master {
					others = append(others, server.Host)
				}
			}
			master.Host.Part(others...)
			s.WaitForMasterOtherThan(master)
			lasts(4 * time.Second)
			if follow {
				r.waitMore(r.nodes[0], tier2, 50)
			} else {
				r.stopPublishing()
			}
			master.Host.Join(others...)
			checkDemoted(t, s, r, "Sentinel, master parted from Sentinels and replicas, "+name)
		})
	}
}
