//go:build faults

package redis_test

import (
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/backplane/redis"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// A Redis that keeps its data over a restart keeps the journals, under another history.
func TestFault_restartedWithItsData(t *testing.T) {
	server := rtetest.MustStartRedis(t, "--appendonly", "yes", "--appendfsync", "everysec")
	r := mustRig(t, server, 16)
	n := r.node(redis.Options{Addresses: []string{server.Addr}})
	r.node(redis.Options{Addresses: []string{server.Addr}})
	r.publish(full)
	lasts(2 * time.Second)
	server.Kill()
	waitHealth(t, n.Backplane, false)
	server.Start()
	waitHealth(t, n.Backplane, true)
	lasts(2 * time.Second)
	r.check("kill -9, restart with append-only file")
}

// Redis is unreachable, but no connection ends.
func TestFault_redisUnreachable(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	proxy := rtetest.MustStartProxy(t, server.Addr)
	r := mustRig(t, server, 16)
	n := r.node(redis.Options{Addresses: []string{proxy.Addr}})
	r.publish([tiers]int{tier0: 500, tier1: 500, tier2: 2000})
	lasts(time.Second)
	proxy.Blackhole()
	started := time.Now()
	waitHealth(t, n.Backplane, false)
	t.Logf("noticed after %s", time.Since(started).Round(time.Millisecond))
	lasts(15 * time.Second)
	proxy.Open()
	started = time.Now()
	waitHealth(t, n.Backplane, true)
	t.Logf("back after %s", time.Since(started).Round(time.Millisecond))
	r.check("Redis unreachable for 15 s")
}

// A slow network does not end a connection.
func TestFault_slowNetwork(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	proxy := rtetest.MustStartProxy(t, server.Addr)
	r := mustRig(t, server, 4)
	n := r.node(redis.Options{Addresses: []string{proxy.Addr}})
	proxy.Delay(200 * time.Millisecond)
	r.publish([tiers]int{20, 20, 100})
	lasts(15 * time.Second)
	r.check("200 ms of latency")
	if ended := n.value(t, "rte_backplane_epochs_total"); ended > 0 {
		t.Errorf("%.0f connections ended", ended)
	}
	if s := r.tally(n, tier0); s.missing > 0 || len(n.losses) > 0 {
		t.Errorf("T0: %+v, reported %+v", s, n.losses)
	}
}

// The function library is part of the data, and lost with it. A node loads it again, without a new connection.
func TestFault_functionsForgotten(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	r := mustRig(t, server, 4)
	n := r.node(redis.Options{Addresses: []string{server.Addr}})
	r.publish([tiers]int{20, 20, 100})
	lasts(time.Second)
	if err := r.client.FunctionFlush(t.Context()).Err(); err != nil {
		t.Fatalf("function flush: %v", err)
	}
	waitFor(t, "the library is back", func() bool {
		return r.client.FCallRO(t.Context(), "rte_version", nil).Err() == nil
	})
	waitHealth(t, n.Backplane, true)
	lasts(2 * time.Second)
	r.check("FUNCTION FLUSH")
}
