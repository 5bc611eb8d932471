//go:build faults

package redis_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/backplane/backplanetest"
	"github.com/rte-server/rte-server/internal/backplane/redis"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// soakSpan returns how long faults follow each other: two minutes, or RTE_SOAK_SPAN, as in "make soak".
func soakSpan(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("RTE_SOAK_SPAN")
	if text == "" {
		return 2 * time.Minute
	}
	span, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return span
}

// soak is a server, Sentinels with their servers and a cluster, each with two nodes and its own load.
type soak struct {
	t *testing.T

	server *rtetest.Redis
	proxy  *rtetest.Proxy // before the server, for one of the nodes
	alone  *rig

	sentinels *rtetest.Sentinels
	watched   *rig

	cluster *rtetest.Cluster
	sharded *rig
}

// twice describes how many events came twice or out of order so far.
func (s *soak) twice() string {
	duplicates, disorders := 0, 0
	for _, r := range s.rigs() {
		for _, n := range r.nodes {
			n.mu.Lock()
			for _, g := range n.got {
				duplicates += g.duplicates
				disorders += g.disorders
			}
			n.mu.Unlock()
		}
	}
	return fmt.Sprintf("%d came twice, %d out of order", duplicates, disorders)
}

// soakLoad is how many events are published per second behind Sentinels and to the cluster.
var soakLoad = [tiers]int{tier0: 100, tier1: 100, tier2: 500}

// soakIdleLanes are subscribed all the time, and again after each fault.
const soakIdleLanes = 20_000

func newSoak(t *testing.T) *soak {
	t.Helper()
	s := &soak{t: t, server: rtetest.MustStartRedis(t)}
	s.proxy = rtetest.MustStartProxy(t, s.server.Addr)
	s.alone = mustRig(t, s.server, 16)
	s.alone.node(quick(s.proxy.Addr))
	n := s.alone.node(quick(s.server.Addr))
	idle := make([]events.Topic, soakIdleLanes)
	for i := range idle {
		idle[i] = backplanetest.Topic(events.NewID(), events.NewID())
	}
	backplanetest.MustAcquire(t, n, idle...)
	s.sentinels, s.watched = sentinelRig(t, soakLoad)
	s.cluster, s.sharded = clusterRig(t, soakLoad)
	return s
}

// rigs returns all of them.
func (s *soak) rigs() []*rig { return []*rig{s.alone, s.watched, s.sharded} }

// waitWhole waits until everything is as before a fault.
func (s *soak) waitWhole() {
	s.t.Helper()
	waitReplicas(s.t, s.sentinels.Servers, 2)
	waitReplicas(s.t, s.cluster.Servers, 3)
	s.cluster.WaitHealthy()
	for _, r := range s.rigs() {
		for i, n := range r.nodes {
			waitFor(s.t, fmt.Sprintf("node %d is healthy", i), func() bool { return n.Health().Connected })
		}
	}
}

// waitReplicas waits until the given number of servers are replicas, and all others have one.
func waitReplicas(t *testing.T, servers []*rtetest.Redis, want int) {
	t.Helper()
	waitFor(t, fmt.Sprintf("%d replicas follow their masters", want), func() bool {
		replicas, bare := 0, 0
		for _, server := range servers {
			client := server.Client()
			text := client.Info(t.Context(), "replication").Val()
			_ = client.Close()
			switch {
			case strings.Contains(text, "master_link_status:up"):
				replicas++
			case strings.Contains(text, "role:master") && strings.Contains(text, "connected_slaves:0"):
				bare++
			}
		}
		return replicas == want && bare == 0
	})
}

// fault is one of the faults of a soak.
type fault struct {
	name string
	do   func()
}

func (s *soak) faults() []fault {
	ctx, client := s.t.Context(), s.alone.client
	cut := func(kind string) func() { return func() { client.ClientKillByFilter(ctx, "TYPE", kind) } }
	return []fault{
		{"killed and restarted empty", func() {
			s.server.Kill()
			lasts(time.Second)
			s.server.Start()
		}},
		{"subscribers killed", cut("pubsub")},
		{"clients killed", cut("normal")},
		{"connections closed", s.proxy.Cut},
		{"frozen", func() {
			s.server.Freeze()
			lasts(time.Second)
			s.server.Thaw()
		}},
		{"output buffers too small", func() {
			client.ConfigSet(ctx, "client-output-buffer-limit", "pubsub 64kb 64kb 1")
			s.flood()
			client.ConfigSet(ctx, "client-output-buffer-limit", "pubsub 32mb 8mb 60")
		}},
		{"an organization floods", s.flood},
		{"half-open", s.proxy.Hang},
		{"blackhole", func() {
			s.proxy.Blackhole()
			lasts(2 * time.Second)
			s.proxy.Open()
		}},
		{"refused", func() {
			s.proxy.Refuse(true)
			s.proxy.Cut()
			lasts(time.Second)
			s.proxy.Refuse(false)
		}},
		{"slow", func() {
			s.proxy.Delay(100 * time.Millisecond)
			lasts(2 * time.Second)
			s.proxy.Delay(0)
		}},
		{"split frames", func() {
			s.proxy.Split(101)
			lasts(2 * time.Second)
			s.proxy.Split(0)
		}},
		{"journal trimmed", func() {
			client.XTrimMaxLen(ctx, "rte:j:{"+s.alone.streams[rand.IntN(len(s.alone.streams))].lane+"}", 0)
		}},
		{"FLUSHALL", func() { client.FlushAll(ctx) }},
		{"Sentinel, master killed", func() {
			master := s.sentinels.Master()
			master.Kill()
			s.sentinels.WaitForMasterOtherThan(master)
			master.Start()
		}},
		{"Sentinel, master frozen", func() {
			master := s.sentinels.Master()
			master.Freeze()
			s.sentinels.WaitForMasterOtherThan(master)
			master.Thaw()
		}},
		{"SENTINEL FAILOVER", s.sentinels.Failover},
		{"cluster, slot moved", func() {
			slot := redis.Slot(s.sharded.streams[rand.IntN(len(s.sharded.streams))].lane)
			from := s.cluster.Owner(slot)
			to := s.cluster.Owner((slot + 16384/3) % 16384)
			s.cluster.MoveSlot(slot, from, to)
			lasts(time.Second)
			s.cluster.MoveSlot(slot, to, from)
		}},
		{"cluster, master killed", func() {
			slot := rand.IntN(16384)
			master := s.cluster.Owner(slot)
			s.cluster.Servers[master].Kill()
			waitFor(s.t, "the replica is the master", func() bool {
				owner := s.cluster.Owner(slot)
				return owner >= 0 && owner != master
			})
			s.cluster.Servers[master].Start()
		}},
		{"CLUSTER FAILOVER", func() {
			slot := rand.IntN(16384)
			master := s.cluster.Owner(slot)
			replica := s.cluster.Servers[s.cluster.Replica(master)].Client()
			defer replica.Close()
			if err := replica.ClusterFailover(s.t.Context()).Err(); err != nil {
				s.t.Fatalf("cluster failover: %v", err)
			}
			waitFor(s.t, "the replica is the master", func() bool { return s.cluster.Owner(slot) != master })
		}},
	}
}

// flood publishes more events on one lane than its organization may queue. They have no subscribers.
func (s *soak) flood() {
	stream := s.alone.streams[rand.IntN(len(s.alone.streams))]
	ev := backplanetest.NewEvent(backplanetest.Topic(stream.topic.Organization, events.NewID()), 0)
	ev.Padding = 4 << 10
	for range 20 {
		pipe := s.alone.client.Pipeline()
		for range 200 {
			pipe.Publish(s.t.Context(), stream.lane, ev.JSON())
		}
		_, _ = pipe.Exec(s.t.Context())
	}
}

// Faults of all kinds follow each other for RTE_SOAK_SPAN, each within 20 s, or less in a short span. Each kind comes
// before one comes again.
func TestFault_soak(t *testing.T) {
	span := soakSpan(t)
	pause := min(20*time.Second, span/40)
	s := newSoak(t)
	s.alone.publish([tiers]int{tier0: 200, tier1: 200, tier2: 1500})
	goroutines, heap := runtime.NumGoroutine(), memory()
	faults := s.faults()
	began := time.Now()
	count := 0
	for ; time.Since(began) < span; count++ {
		if count%len(faults) == 0 {
			rand.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
		}
		next := time.Now().Add(pause)
		f := faults[count%len(faults)]
		at := time.Now()
		f.do()
		s.waitWhole()
		t.Logf("%s: %s, whole after %.1f s; %d goroutines, %d MB, %s", at.Format(time.TimeOnly), f.name,
			time.Since(at).Seconds(),
			runtime.NumGoroutine(), memory()>>20, s.twice())
		lasts(time.Until(next))
	}
	for _, r := range s.rigs() {
		r.stopPublishing()
	}
	for i, r := range s.rigs() {
		r.checkForks(fmt.Sprintf("%d faults in %s, rig %d", count, span, i))
	}
	waitFor(t, fmt.Sprintf("there are no more than the %d goroutines of the start", goroutines), func() bool {
		return runtime.NumGoroutine() <= goroutines
	})
	t.Logf(
		"%d goroutines before, %d after; %d MB in use before, %d after", goroutines, runtime.NumGoroutine(), heap>>20,
		memory()>>20,
	)
}
