package audit

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rte-server/rte-server/internal/rtetest"
	"github.com/rte-server/rte-server/test/audit/history"
)

// fault is something that goes wrong.
type fault struct {
	name string
	do   func(*deployment)
	// forks: Redis itself loses events, so that nodes cannot repair what its journals had.
	forks bool
	// long: only "make chaos" provokes it.
	long bool
}

// lasts is the duration of a fault. Tests wait for results by a condition.
func lasts(d time.Duration) { time.Sleep(d) }

// faults are those of three nodes with one Redis, which keeps its data.
func faults() []fault {
	return []fault{
		{name: "subscribers cut off by Redis (`CLIENT KILL TYPE pubsub`)", do: (*deployment).killSubscribers},
		{name: "node killed and started again", do: (*deployment).killNode},
		{name: "Redis killed, restarted with its append-only file", do: (*deployment).killRedis},
		{name: "entity taken out of the directory and put back", do: (*deployment).removeEntity},
		{name: "token revoked", do: (*deployment).revoke},
		{name: "node drained and started again", do: (*deployment).drainNode},
		{name: "HAProxy reloaded", do: func(d *deployment) { d.balancer.Reload() }, long: true},
		{name: "node frozen for 5 s (SIGSTOP)", do: freezeNode(5 * time.Second), long: true},
		{name: "node frozen for 60 s (SIGSTOP)", do: freezeNode(60 * time.Second), long: true},
		{name: "Redis frozen for 5 s (SIGSTOP)", do: (*deployment).freezeRedis, long: true},
		{name: "no packet between a node and Redis for 10 s", long: true, do: func(d *deployment) {
			d.proxy.Blackhole()
			lasts(10 * time.Second)
			d.proxy.Open()
		}},
		{name: "half-open connections between a node and Redis", long: true, do: func(d *deployment) { d.proxy.Hang() }},
		{name: "a node cut off from Redis for 3 s", long: true, do: func(d *deployment) {
			d.proxy.Refuse(true)
			d.proxy.Cut()
			lasts(3 * time.Second)
			d.proxy.Refuse(false)
		}},
		{name: "a lane overflows the output buffers of Redis", do: (*deployment).overflow, long: true},
		{name: "Redis out of memory (`maxmemory`) for 5 s", do: (*deployment).fillMemory, long: true},
		{name: "tokens expire, for 30 s", do: func(*deployment) { lasts(30 * time.Second) }, long: true},
		{name: "subscribers cut off ten times in 3 s", long: true, do: func(d *deployment) {
			for range 10 {
				d.killSubscribers()
				lasts(300 * time.Millisecond)
			}
		}},
		{name: "two nodes killed at once", long: true, do: func(d *deployment) {
			d.nodes[1].Kill()
			d.nodes[2].Kill()
			lasts(time.Second)
			d.nodes[1].Start()
			d.nodes[2].Start()
		}},
		{name: "Redis killed while a node is drained", long: true, do: func(d *deployment) {
			stopped := d.nodes[0].StopLater(3 * rtetest.Patience)
			lasts(2 * time.Second)
			d.killRedis()
			stopped()
			d.nodes[0].Start()
		}},
	}
}

func (d *deployment) killSubscribers() {
	d.t.Helper()
	client := d.redis.Client()
	defer client.Close()
	if err := client.ClientKillByFilter(d.t.Context(), "TYPE", "pubsub").Err(); err != nil {
		d.t.Fatal(err)
	}
}

func (d *deployment) killNode() {
	d.t.Helper()
	d.nodes[0].Kill()
	lasts(time.Second)
	d.nodes[0].Start()
}

func (d *deployment) drainNode() {
	d.t.Helper()
	d.nodes[1].StopLater(3 * rtetest.Patience)()
	d.nodes[1].Start()
}

func (d *deployment) killRedis() {
	d.t.Helper()
	d.redis.Kill()
	lasts(time.Second)
	d.redis.Start()
}

func (d *deployment) freezeRedis() {
	d.t.Helper()
	d.redis.Freeze()
	lasts(5 * time.Second)
	d.redis.Thaw()
}

// freezeNode returns a fault that stops the process of a node without ending it.
func freezeNode(span time.Duration) func(*deployment) {
	return func(d *deployment) {
		d.t.Helper()
		for _, s := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT} {
			if err := syscall.Kill(d.nodes[2].PID(), s); err != nil {
				d.t.Fatal(err)
			}
			if s == syscall.SIGSTOP {
				lasts(span)
			}
		}
	}
}

// removeEntity takes the entity of a stream out of the directory, publishes on, and puts it back.
func (d *deployment) removeEntity() {
	d.t.Helper()
	topic := d.streams[0].topic
	var losers []*member
	for _, m := range d.members {
		if slices.Contains(m.topics, topic) && m.has(topic) {
			losers = append(losers, m)
		}
	}
	d.rec.ending("", topic)
	d.writeDirectory(d.entities[1:])
	for _, m := range losers {
		m.want(slices.DeleteFunc(m.wants(), func(other history.Topic) bool { return other == topic }))
	}
	for _, m := range losers {
		d.waitFor(m.name+" has lost its subscription", func() bool { return !m.has(topic) })
	}
	d.rec.ended("", topic)
	lasts(2 * time.Second)
	d.rec.grant(topic)
	d.writeDirectory(d.entities)
	for _, m := range losers {
		m.want(append(m.wants(), topic))
	}
}

// revoke revokes the token of a client at one node.
func (d *deployment) revoke() {
	d.t.Helper()
	d.rec.ending(d.revocable.name, history.Topic{})
	body := strings.NewReader(fmt.Sprintf(`{"jti":%q}`, d.revocable.name))
	response, err := d.publish.http.Post(d.nodes[0].ConsoleURL+"/api/revoke", "application/json", body)
	if err != nil {
		d.t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		d.t.Fatalf("revoke: %s", response.Status)
	}
	d.waitFor("the client with the revoked token to be refused", d.revocable.hasLeft)
	d.rec.ended(d.revocable.name, history.Topic{})
	lasts(time.Second)
}

// overflow publishes on a lane that has clients until Redis has given up a node that did not read fast enough.
func (d *deployment) overflow() {
	d.t.Helper()
	client := d.redis.Client()
	defer client.Close()
	ctx := d.t.Context()
	client.ConfigSet(ctx, "client-output-buffer-limit", "pubsub 64kb 64kb 1")
	defer client.ConfigSet(ctx, "client-output-buffer-limit", "pubsub 32mb 8mb 60")
	topic := history.Topic{Organization: d.streams[0].topic.Organization, Entity: newID(), Type: "UserCallInArrived"}
	ended := func() (sum float64) {
		for _, n := range d.nodes {
			sum += n.Metric("rte_backplane_epochs_total")
		}
		return sum
	}
	before := ended()
	d.waitFor("Redis to give up a subscriber", func() bool {
		pipe := client.Pipeline()
		for range 200 {
			pipe.Publish(ctx, "rte:org:"+topic.Organization, fmt.Sprintf(`{"Id":%q,"RootEntityType":"Organization",`+
				`"RootEntityId":%q,"OrganizationId":%[2]q,"EntityType":"User","EntityId":%q,"EventType":%q,"Text":"%4000d"}`,
				newID(), topic.Organization, topic.Entity, topic.Type, 0))
		}
		if _, err := pipe.Exec(ctx); err != nil {
			d.t.Fatal(err)
		}
		return ended() > before
	})
}

// fillMemory makes Redis refuse everything that needs memory.
func (d *deployment) fillMemory() {
	d.t.Helper()
	client := d.redis.Client()
	defer client.Close()
	for _, limit := range []string{"1", "0"} {
		if err := client.ConfigSet(d.t.Context(), "maxmemory", limit).Err(); err != nil {
			d.t.Fatal(err)
		}
		if limit == "1" {
			lasts(5 * time.Second)
		}
	}
}
