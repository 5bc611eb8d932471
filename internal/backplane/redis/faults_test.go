package redis_test

import (
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/backplane/redis"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// quick returns the options of nodes in short tests: all timeouts are a quarter of the defaults.
func quick(address string) redis.Options {
	return redis.Options{
		Addresses:      []string{address},
		ProbeInterval:  125 * time.Millisecond,
		ProbeTimeout:   500 * time.Millisecond,
		DialTimeout:    500 * time.Millisecond,
		CommandTimeout: 500 * time.Millisecond,
	}
}

// patient returns the options of nodes in tests that need no timeout to notice a fault: a busy machine must not add
// others.
func patient(address string) redis.Options {
	o := quick(address)
	o.ProbeTimeout, o.DialTimeout, o.CommandTimeout = rtetest.Patience, rtetest.Patience, rtetest.Patience
	return o
}

// load is how many events short tests publish per second.
var load = [tiers]int{tier0: 200, tier1: 300, tier2: 1500}

func TestFault_connectionsKilled(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	r := mustRig(t, server, 16)
	r.node(patient(server.Addr))
	r.node(patient(server.Addr))
	r.publish(load)
	for range 10 {
		lasts(300 * time.Millisecond)
		if err := r.client.ClientKillByFilter(t.Context(), "TYPE", "pubsub").Err(); err != nil {
			t.Fatalf("client kill: %v", err)
		}
	}
	r.check("CLIENT KILL TYPE pubsub each 300 ms")
	for i, n := range r.nodes {
		if lost := n.value(t, "rte_backplane_gaps_total", "lost"); lost > 0 {
			t.Errorf("node %d: %.0f gaps were lost", i, lost)
		}
	}
}

// The nodes that stayed connected know the events without a journal.
func TestFault_oneOfThreeNodesCutOff(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	proxy := rtetest.MustStartProxy(t, server.Addr)
	r := mustRig(t, server, 16)
	o := patient(proxy.Addr)
	o.PeerTimeout = rtetest.Patience // the others answer; they may be busy
	n := r.node(o)
	r.node(patient(server.Addr))
	r.node(patient(server.Addr))
	r.publish(load)
	for range 5 {
		r.waitMore(n, tier2, 50)
		proxy.Cut()
	}
	r.waitMore(n, tier2, 50)
	r.check("one of three nodes cut off")
	if s := r.tally(n, tier0); s.missing > 0 || len(n.losses) > 0 {
		t.Errorf("T0: %+v, reported %+v", s, n.losses)
	}
	if answers := n.value(t, "rte_backplane_peer_answers_total"); answers < 16 {
		t.Errorf("%.0f answers came from other nodes", answers)
	}
}

// Events on lanes that were quiet before are missed like others, and reported or recovered like others: a quiet lane
// does not reveal whether its publishers write the journal.
func TestFault_quietLanes(t *testing.T) {
	for name, alone := range map[string]bool{"alone": true, "with another node": false} {
		t.Run(name, func(t *testing.T) {
			server := rtetest.MustStartRedis(t)
			proxy := rtetest.MustStartProxy(t, server.Addr)
			r := mustRig(t, server, 16)
			o := quick(proxy.Addr)
			if !alone {
				o.PeerTimeout = rtetest.Patience // the other node answers; it may be busy
			}
			n := r.node(o)
			if !alone {
				r.node(patient(server.Addr))
			}
			lasts(2 * time.Second) // the quiet time: more than sinceMargin
			proxy.Hang()
			r.publish([tiers]int{tier0: 200})
			waitHealth(t, n.Backplane, false)
			waitHealth(t, n.Backplane, true)
			r.check("quiet lanes, " + name)
			switch s := r.tally(n, tier0); {
			case alone && s.missing == 0:
				t.Error("nothing was missed")
			case !alone && (s.missing > 0 || len(n.losses) > 0):
				t.Errorf("T0: %+v, reported %+v", s, n.losses)
			}
		})
	}
}

func TestFault_killedAndRestartedEmpty(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	proxy := rtetest.MustStartProxy(t, server.Addr)
	r := mustRig(t, server, 16)
	n := r.node(patient(proxy.Addr))
	r.publish(load)
	r.waitDelivered(n, tier2, 50)
	before := proxy.Dials()
	server.Kill()
	waitHealth(t, n.Backplane, false)
	lasts(time.Second)
	// These publishers do not load the library: their events fail until it is back.
	server.Start()
	started := time.Now()
	waitHealth(t, n.Backplane, true)
	took := time.Since(started)
	if took > 10*time.Second {
		t.Errorf("it took %s to be connected again", took)
	}
	// 9 connections and a second of back-off; a busy machine needs longer, and more attempts.
	if dials, most := proxy.Dials()-before, 40+10*took.Seconds(); float64(dials) > most {
		t.Errorf("%d dials in %s, want at most %.0f", dials, took, most)
	}
	r.waitMore(n, tier2, 50)
	r.stopPublishing()
	r.waitAll()
	for _, row := range r.report("kill -9, restart without data") {
		for how, s := range row {
			if s.duplicates+s.disorders > 0 || s.unflagged > 0 {
				t.Errorf("T%d: %+v", how, s)
			}
		}
	}
	if forks := n.value(t, "rte_backplane_gaps_total", "fork"); forks < 16 {
		t.Errorf("%.0f of 16 lanes are known to have lost their journal", forks)
	}
}

func TestFault_frozenServer(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	r := mustRig(t, server, 16)
	n := r.node(quick(server.Addr))
	r.publish(load)
	r.waitDelivered(n, tier2, 50)
	server.Freeze()
	waitHealth(t, n.Backplane, false)
	lasts(time.Second)
	server.Thaw()
	waitHealth(t, n.Backplane, true)
	r.waitMore(n, tier2, 50)
	r.check("SIGSTOP")
	if n.value(t, "rte_backplane_epochs_total", "silent") == 0 {
		t.Error("the missing replies were not detected")
	}
}

func TestFault_outputBufferOverflow(t *testing.T) {
	server := rtetest.MustStartRedis(t, "--client-output-buffer-limit", "pubsub 256kb 256kb 1")
	proxy := rtetest.MustStartProxy(t, server.Addr)
	r := mustRig(t, server, 16)
	r.padding = 8 << 10
	o := quick(proxy.Addr)
	o.Connections = 1                                               // with events, so that it overflows
	o.ProbeTimeout, o.CommandTimeout = 5*time.Second, 5*time.Second // so that the probe timeout does not end the epoch
	n := r.node(o)
	r.publish(load)
	r.waitDelivered(n, tier2, 20)
	proxy.Blackhole()
	waitFor(t, "Redis has given the subscriber up", func() bool {
		return r.client.Do(t.Context(), "CLIENT", "LIST", "TYPE", "pubsub").Val() == ""
	})
	proxy.Open()
	r.waitMore(n, tier2, 50)
	r.check("output buffer overflow")
	if n.value(t, "rte_backplane_epochs_total", "lost") == 0 {
		t.Error("the connection was not lost")
	}
}

func TestFault_halfOpenConnection(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	proxy := rtetest.MustStartProxy(t, server.Addr)
	r := mustRig(t, server, 16)
	n := r.node(quick(proxy.Addr))
	r.publish(load)
	r.waitDelivered(n, tier2, 50)
	proxy.Hang()
	waitHealth(t, n.Backplane, false)
	waitHealth(t, n.Backplane, true)
	r.waitMore(n, tier2, 50)
	r.check("half-open connection")
	// Stock go-redis needed 45 s and more. The node needs 2.5 s; the rest allows for a busy machine.
	if outage := n.outage(t); outage > 20 {
		t.Errorf("events were late by %.1f s, with a probe timeout of 0.5 s", outage)
	}
	if n.value(t, "rte_backplane_epochs_total", "silent") == 0 {
		t.Error("the missing replies were not detected")
	}
}

func TestFault_splitFrames(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	proxy := rtetest.MustStartProxy(t, server.Addr)
	r := mustRig(t, server, 4)
	o := quick(proxy.Addr)
	o.ProbeTimeout, o.CommandTimeout = 20*time.Second, 20*time.Second // a busy machine must not end the epoch
	n := r.node(o)
	proxy.Split(101)
	r.publish([tiers]int{20, 20, 100})
	r.waitDelivered(n, tier2, 20)
	proxy.Split(1)
	r.waitMore(n, tier2, 20)
	r.check("split frames")
	if ended := n.value(t, "rte_backplane_epochs_total"); ended > 0 {
		t.Errorf("%.0f connections ended", ended)
	}
	if s := r.tally(n, tier0); s.missing > 0 || len(n.losses) > 0 {
		t.Errorf("T0: %+v, reported %+v", s, n.losses)
	}
}
