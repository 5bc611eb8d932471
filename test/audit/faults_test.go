package audit

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/rtetest"
	"github.com/rte-server/rte-server/test/audit/history"
)

// fault is something that goes wrong.
type fault struct {
	name string
	// do provokes it, and fails the test if it did not happen.
	do func(*deployment)
	// forks: Redis itself loses events, so that nodes cannot repair what its journals had.
	forks bool
	// long: only "make chaos" provokes it.
	long bool
	// slow: it takes longer than the time between two faults of "make audit-soak".
	slow bool
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
		{name: "policy changed and changed back", do: (*deployment).changePolicy, long: true},
		{name: "HAProxy reloaded", do: func(d *deployment) { d.balancer.Reload() }, long: true},
		{name: "node frozen for 5 s (SIGSTOP)", do: freezeNode(5 * time.Second), long: true},
		{name: "node frozen for 60 s (SIGSTOP)", do: freezeNode(60 * time.Second), long: true, slow: true},
		{name: "Redis frozen for 5 s (SIGSTOP)", do: (*deployment).freezeRedis, long: true},
		{name: "no packet between a node and Redis for 10 s", long: true, do: endsEpochs(func(d *deployment) {
			d.proxy.Blackhole()
			lasts(10 * time.Second)
			d.proxy.Open()
		})},
		{name: "half-open connections between a node and Redis", long: true, do: endsEpochs(func(d *deployment) {
			d.proxy.Hang()
		})},
		{name: "a node cut off from Redis for 3 s", long: true, do: endsEpochs(func(d *deployment) {
			d.proxy.Refuse(true)
			d.proxy.Cut()
			lasts(3 * time.Second)
			d.proxy.Refuse(false)
		})},
		{
			name: "no packet between three clients and HAProxy for 45 s", long: true, slow: true,
			do: endsCable(func(d *deployment) {
				d.cable.Blackhole()
				lasts(45 * time.Second)
				d.cable.Open()
			}),
		},
		{name: "connections of three clients cut", long: true, do: endsCable(func(d *deployment) { d.cable.Cut() })},
		{name: "a lane overflows the output buffers of Redis, three times", do: (*deployment).overflow, long: true},
		{name: "Redis out of memory (`maxmemory`) for 5 s", do: (*deployment).fillMemory, long: true},
		{name: "tokens expire, for 30 s", do: awaitExpiry(30 * time.Second), long: true, slow: true},
		{name: "subscribers cut off ten times in 3 s", long: true, do: func(d *deployment) {
			for range 10 {
				d.killSubscribers()
				lasts(300 * time.Millisecond)
			}
		}},
		{name: "two nodes killed at once", long: true, do: (*deployment).killTwoNodes},
		{name: "Redis killed while a node is drained", long: true, do: func(d *deployment) {
			n := d.busiest()[0]
			stopped := n.StopLater(3 * rtetest.Patience)
			lasts(2 * time.Second)
			d.killRedis()
			stopped()
			n.Start()
		}},
		{
			name: "clock of Redis 90 s forwards and back, subscribers cut off", long: true, slow: true,
			do: setClock((*deployment).setRedisClock, jump),
		},
		{
			name: "clock of Redis 90 s backwards and back, subscribers cut off", long: true, slow: true,
			do: setClock((*deployment).setRedisClock, -jump),
		},
		{
			name: "clock of a node 90 s forwards and back, subscribers cut off", long: true, slow: true,
			do: setClock((*deployment).setNodeClock, jump),
		},
		{
			name: "clock of a node 90 s backwards and back, subscribers cut off", long: true, slow: true,
			do: setClock((*deployment).setNodeClock, -jump),
		},
	}
}

// killSubscribers makes Redis end the subscribed connections, as soon as there is one.
func (d *deployment) killSubscribers() {
	d.t.Helper()
	client := d.redis.Client()
	defer client.Close()
	d.waitFor("a subscriber to cut off", func() bool {
		killed, err := client.ClientKillByFilter(d.t.Context(), "TYPE", "pubsub").Result()
		if err != nil {
			d.t.Fatal(err)
		}
		return killed > 0
	})
}

// clients returns the number of clients of a node.
func clients(n *rtetest.Server) int { return int(n.Metric("rte_hub_sessions_open")) }

// busiest returns the nodes that faults may concern, those with the most clients first.
func (d *deployment) busiest() []*rtetest.Server {
	d.t.Helper()
	list := slices.DeleteFunc(slices.Clone(d.nodes), func(n *rtetest.Server) bool { return n == d.spared })
	slices.SortFunc(list, func(a, b *rtetest.Server) int { return clients(b) - clients(a) })
	return list
}

func (d *deployment) killNode() {
	d.t.Helper()
	n := d.busiest()[0]
	n.Kill()
	lasts(time.Second)
	n.Start()
}

func (d *deployment) killTwoNodes() {
	d.t.Helper()
	two := d.busiest()[:2]
	for _, n := range two {
		n.Kill()
	}
	lasts(time.Second)
	for _, n := range two {
		n.Start()
	}
}

func (d *deployment) drainNode() {
	d.t.Helper()
	n := d.busiest()[0]
	n.StopLater(3 * rtetest.Patience)()
	n.Start()
}

func (d *deployment) killRedis() {
	d.t.Helper()
	before := d.redis.Info("server", "run_id")
	d.redis.Kill()
	lasts(time.Second)
	d.redis.Start()
	if d.redis.Info("server", "run_id") == before {
		d.t.Error("Redis was not killed")
	}
}

func (d *deployment) freezeRedis() {
	d.t.Helper()
	d.redis.Freeze()
	lasts(5 * time.Second)
	client := d.redis.Client()
	defer client.Close()
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Second)
	defer cancel()
	if err := client.Ping(ctx).Err(); err == nil {
		d.t.Error("a frozen Redis has answered")
	}
	d.redis.Thaw()
}

// freezeNode returns a fault that stops the process of a node without ending it.
func freezeNode(span time.Duration) func(*deployment) {
	return func(d *deployment) {
		d.t.Helper()
		pid := d.busiest()[0].PID()
		signal := func(s syscall.Signal) {
			if err := syscall.Kill(pid, s); err != nil {
				d.t.Fatal(err)
			}
		}
		signal(syscall.SIGSTOP)
		lasts(span)
		if !isFrozen(pid) {
			d.t.Error("the node was not frozen")
		}
		signal(syscall.SIGCONT)
	}
}

// isFrozen reports whether a process has been stopped.
func isFrozen(pid int) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return err == nil && strings.Contains(string(status), "T (stopped)")
}

// epochs returns how many connections of nodes to Redis have ended.
func epochs(nodes ...*rtetest.Server) (sum float64) {
	for _, n := range nodes {
		sum += n.Metric("rte_backplane_epochs_total")
	}
	return sum
}

// endsEpochs returns a fault that ends connections of the last node to Redis.
func endsEpochs(do func(*deployment)) func(*deployment) {
	return func(d *deployment) {
		d.t.Helper()
		last := d.nodes[nodes-1]
		before := epochs(last)
		do(d)
		d.waitFor("the end of a connection to Redis", func() bool { return epochs(last) > before })
	}
}

// endsCable returns a fault that ends connections of clients behind the cable.
func endsCable(do func(*deployment)) func(*deployment) {
	return func(d *deployment) {
		d.t.Helper()
		before := d.rec.connections(behindCable)
		do(d)
		d.waitFor("clients to connect again", func() bool { return d.rec.connections(behindCable) >= before+organizations })
	}
}

// awaitExpiry returns a fault that waits for the ends of connections whose token expires.
func awaitExpiry(span time.Duration) func(*deployment) {
	return func(d *deployment) {
		d.t.Helper()
		before := d.rec.connections(shortLived)
		lasts(span)
		d.waitFor("the end of a connection whose token has expired", func() bool {
			return d.rec.connections(shortLived) > before
		})
	}
}

// withdraw takes the right to topics away, publishes on, and gives it back.
func (d *deployment) withdraw(topics []history.Topic, take, give func()) {
	d.t.Helper()
	wanted := map[*member][]history.Topic{}
	for _, m := range d.members {
		if slices.ContainsFunc(topics, m.has) {
			wanted[m] = m.wants()
		}
	}
	if len(wanted) == 0 {
		d.t.Fatal("no client has the topics")
	}
	for _, topic := range topics {
		d.rec.ending("", topic)
	}
	take()
	withdrawn := func(topic history.Topic) bool { return slices.Contains(topics, topic) }
	for m, list := range wanted {
		m.want(slices.DeleteFunc(slices.Clone(list), withdrawn))
	}
	for m := range wanted {
		d.waitFor(m.name+" has lost its subscriptions", func() bool { return !slices.ContainsFunc(topics, m.has) })
	}
	for _, topic := range topics {
		d.rec.ended("", topic)
	}
	lasts(2 * time.Second)
	for _, topic := range topics {
		d.rec.grant(topic)
	}
	give()
	for m, list := range wanted {
		m.want(list)
	}
}

// removeEntity takes the entity of a stream out of the directory and puts it back.
func (d *deployment) removeEntity() {
	d.t.Helper()
	d.withdraw([]history.Topic{d.streams[0].topic},
		func() { d.writeDirectory(d.entities[1:]) }, func() { d.writeDirectory(d.entities) })
}

// changePolicy makes the policy forbid an event in all organizations, and allow it again.
func (d *deployment) changePolicy() {
	d.t.Helper()
	const forbidden = "UserStatus"
	var topics []history.Topic
	for _, s := range d.streams {
		topics = append(topics, s.topic)
	}
	if d.simulation != nil {
		topics = append(topics, d.simulation.topics...)
	}
	topics = slices.DeleteFunc(topics, func(topic history.Topic) bool { return topic.Type != forbidden })
	d.withdraw(topics, func() { d.writePolicy(forbidden) }, func() { d.writePolicy("") })
}

// revoke revokes the token of a client at one node.
func (d *deployment) revoke() {
	d.t.Helper()
	if d.revocable.hasLeft() {
		d.addRevocable()
		d.waitFor("a new client to have its subscriptions", d.revocable.isWhole)
	}
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

// overflow publishes more at once than the output buffer of a subscriber may hold, three times.
func (d *deployment) overflow() {
	d.t.Helper()
	client := d.redis.Client()
	defer client.Close()
	ctx := d.t.Context()
	limit := func(pubsub string) {
		if err := client.ConfigSet(ctx, "client-output-buffer-limit", "pubsub "+pubsub).Err(); err != nil {
			d.t.Fatal(err)
		}
	}
	limit("64kb 64kb 1")
	defer limit("32mb 8mb 60")
	topic := history.Topic{Organization: d.streams[0].topic.Organization, Entity: newID(), Type: "UserCallInArrived"}
	lane := "rte:org:" + topic.Organization
	for range 3 {
		d.waitFor("nodes to subscribe to the lane", func() bool { return client.PubSubNumSub(ctx, lane).Val()[lane] > 0 })
		given, ended := d.redis.Logged(gaveUp), epochs(d.nodes...)
		// Redis writes to subscribers between two commands. A transaction leaves it no time to do so.
		if _, err := client.TxPipelined(ctx, func(pipe goredis.Pipeliner) error {
			for range 50 {
				pipe.Publish(ctx, lane, fmt.Sprintf(`{"Id":%q,"RootEntityType":"Organization",`+
					`"RootEntityId":%q,"OrganizationId":%[2]q,"EntityType":"User","EntityId":%q,"EventType":%q,"Text":"%4000d"}`,
					newID(), topic.Organization, topic.Entity, topic.Type, 0))
			}
			return nil
		}); err != nil {
			d.t.Fatal(err)
		}
		d.waitFor("Redis to give up a subscriber", func() bool { return d.redis.Logged(gaveUp) > given })
		d.waitFor("a node to lose its connection to Redis", func() bool { return epochs(d.nodes...) > ended })
	}
}

// gaveUp is what Redis logs when it gives up a client.
const gaveUp = "for overcoming of output buffer limits"

// fillMemory makes Redis refuse everything that needs memory.
func (d *deployment) fillMemory() {
	d.t.Helper()
	client := d.redis.Client()
	defer client.Close()
	before := d.redis.Info("errorstats", "errorstat_OOM")
	for _, limit := range []string{"1", "0"} {
		if err := client.ConfigSet(d.t.Context(), "maxmemory", limit).Err(); err != nil {
			d.t.Fatal(err)
		}
		if limit == "1" {
			lasts(5 * time.Second)
		}
	}
	if d.redis.Info("errorstats", "errorstat_OOM") == before {
		d.t.Error("Redis refused nothing")
	}
}
