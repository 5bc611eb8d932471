package rtetest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// SentinelMaster is the name of the master in the configuration of Sentinels.
const SentinelMaster = "rte"

// Sentinels are three Sentinels of a test, with a master and two replicas.
type Sentinels struct {
	// Addrs are the addresses of the Sentinels.
	Addrs []string
	// Servers are the first master and its replicas.
	Servers []*Redis
	// Hosts are the hosts of the Sentinels on a Network.
	Hosts []*Host

	t      testing.TB
	places []place // places of the Sentinels
}

// MustStartSentinels starts a master, two replicas and three Sentinels, and waits until they know each other. downAfter
// is the time after which a master counts as down. The end of the test stops all of them.
func MustStartSentinels(t testing.TB, downAfter time.Duration) *Sentinels {
	t.Helper()
	return mustStartSentinelsAt(t, downAfter, func() place { return loopback(t) })
}

// MustStartSentinels is the function MustStartSentinels with each server and Sentinel on a new host of the network.
func (n *Network) MustStartSentinels(downAfter time.Duration) *Sentinels {
	n.t.Helper()
	return mustStartSentinelsAt(n.t, downAfter, func() place { return n.MustAddHost().place(redisPort) })
}

func mustStartSentinelsAt(t testing.TB, downAfter time.Duration, next func() place) *Sentinels {
	t.Helper()
	s := &Sentinels{t: t}
	master := mustStartRedisAt(t, next(), "--protected-mode", "no")
	host, port, _ := net.SplitHostPort(master.Addr)
	s.Servers = []*Redis{master}
	for range 2 {
		s.Servers = append(s.Servers, mustStartRedisAt(t, next(), "--protected-mode", "no", "--replicaof", host+" "+port))
	}
	for range 3 {
		p := next()
		s.mustStart(p, host, port, downAfter)
		s.Addrs, s.Hosts, s.places = append(s.Addrs, p.addr), append(s.Hosts, p.host), append(s.places, p)
	}
	s.waitFor("sentinels", func(ctx context.Context, c *goredis.SentinelClient) bool {
		info, err := c.Master(ctx, SentinelMaster).Result()
		return err == nil && info["num-slaves"] == "2" && info["num-other-sentinels"] == "2" && info["flags"] == "master"
	})
	return s
}

// mustStart starts one Sentinel for a master.
func (s *Sentinels) mustStart(p place, host, port string, downAfter time.Duration) {
	s.t.Helper()
	dir := s.t.TempDir()
	_, own, _ := net.SplitHostPort(p.addr)
	config := filepath.Join(dir, "sentinel.conf")
	text := fmt.Sprintf("port %s\nbind %s\nprotected-mode no\ndir %s\nlogfile %s\n"+
		"sentinel monitor %[5]s %s %s 2\nsentinel down-after-milliseconds %[5]s %[8]d\n"+
		"sentinel failover-timeout %[5]s 5000\nsentinel parallel-syncs %[5]s 1\n",
		own, p.ip(), dir, filepath.Join(dir, "sentinel.log"), SentinelMaster, host, port, downAfter.Milliseconds())
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		s.t.Fatalf("write sentinel.conf: %v", err)
	}
	cmd := p.command(mustFindRedis(s.t).path, config, "--sentinel")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		s.t.Fatalf("start sentinel: %v", err)
	}
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// Master returns the server that the Sentinels report as the master.
func (s *Sentinels) Master() *Redis {
	s.t.Helper()
	var found *Redis
	s.waitFor("a master", func(ctx context.Context, c *goredis.SentinelClient) bool {
		addr, err := c.GetMasterAddrByName(ctx, SentinelMaster).Result()
		for _, r := range s.Servers {
			if err == nil && len(addr) == 2 && net.JoinHostPort(addr[0], addr[1]) == r.Addr {
				found = r
			}
		}
		return found != nil
	})
	return found
}

// Failover makes the Sentinels promote a replica, and waits until they agree on the new master.
func (s *Sentinels) Failover() {
	s.t.Helper()
	before := s.Master()
	requested := false
	s.waitFor("failover", func(ctx context.Context, c *goredis.SentinelClient) bool {
		if !requested {
			requested = c.Failover(ctx, SentinelMaster).Err() == nil
		}
		return s.Master() != before
	})
}

// WaitForMasterOtherThan waits until the Sentinels report a master other than r.
func (s *Sentinels) WaitForMasterOtherThan(r *Redis) {
	s.t.Helper()
	s.waitFor("another master", func(context.Context, *goredis.SentinelClient) bool { return s.Master() != r })
}

// waitFor waits until a condition holds for every Sentinel.
func (s *Sentinels) waitFor(what string, condition func(context.Context, *goredis.SentinelClient) bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	for _, p := range s.places {
		c := goredis.NewSentinelClient(&goredis.Options{Addr: p.addr, Dialer: p.dial, MaxRetries: -1, Protocol: 2})
		for !condition(ctx, c) {
			if ctx.Err() != nil {
				s.t.Fatalf("waited for %s at %s", what, p.addr)
			}
			time.Sleep(20 * time.Millisecond)
		}
		_ = c.Close()
	}
}
