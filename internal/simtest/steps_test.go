package simtest_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
)

// step is a step of a schedule: a kind and three numbers, which choose its details. Any numbers are valid.
type step struct {
	kind    string
	a, b, c int
}

func (s step) String() string { return fmt.Sprintf("%s %d %d %d", s.kind, s.a, s.b, s.c) }

// action is what steps of a kind do, and how often they come.
type action struct {
	weight int
	do     func(w *world, s step)
}

// tiersOf returns the tiers that the publishers of a schedule use. Its first step chooses them.
func tiersOf(steps []step) []int {
	if len(steps) == 0 || steps[0].kind != "tiers" {
		return []int{0, 1, 2}
	}
	return [][]int{{0, 1, 2}, {1, 2}, {2}}[steps[0].a%3]
}

// tier chooses one of the tiers of the schedule.
func (w *world) tier(n int) int { return w.tiers[n%len(w.tiers)] }

// actions has all kinds of steps.
var actions = map[string]action{
	"tiers": {0, func(*world, step) {}},
	"publish": {30, func(w *world, s step) {
		w.publish(topic{s.a % len(people), kinds[s.b%len(kinds)]}, w.tier(s.c), false)
	}},
	"burst": {3, func(w *world, s step) {
		for i := range 2 + s.c%60 {
			w.publish(topic{s.a % len(people), kinds[(s.b+i)%len(kinds)]}, w.tier(s.b/3+i), false)
		}
	}},
	"publish-again": {3, func(w *world, s step) {
		if len(w.events) > 0 {
			w.send(w.events[len(w.events)-1-s.a%min(len(w.events), 5)])
		}
	}},
	"publish-foreign": {1, func(w *world, s step) {
		w.publish(topic{s.a % 2 * 2, kinds[s.b%len(kinds)]}, w.tier(s.c), true)
	}},

	"connect":     {8, func(w *world, s step) { w.connect(s) }},
	"subscribe":   {16, client1(func(w *world, c *client, s step) { c.invoke("Subscribe", topicsOf(s)...) })},
	"unsubscribe": {3, client1(func(w *world, c *client, s step) { c.invoke("Unsubscribe", topicsOf(s)...) })},
	"unsubscribe-all": {1, client1(func(w *world, c *client, s step) {
		c.invoke("UnsubscribeAll")
	})},
	"ack":    {3, client1(func(w *world, c *client, _ step) { c.acknowledge() })},
	"lose":   {3, client1(func(w *world, c *client, _ step) { c.lose() })},
	"resume": {6, clientAny(func(w *world, c *client, _ step) { c.resume() })},
	"leave": {1, client1(func(w *world, c *client, _ step) {
		c.message(`{"type":7}`)
		w.rest()
		c.lose()
		c.end()
	})},
	"stall": {2, client1(func(w *world, c *client, _ step) { c.stalled = true })},
	"read":  {3, client1(func(w *world, c *client, _ step) { c.stalled = false })},

	"revoke": {1, client1(func(w *world, c *client, _ step) { w.revoke(c) })},
	"forbid": {1, func(w *world, s step) { w.setPolicy(s.a%len(people), s.b%len(people), true) }},
	"allow":  {1, func(w *world, s step) { w.setPolicy(s.a%len(people), s.b%len(people), false) }},

	"hold-messages": {2, func(w *world, s step) {
		w.each(s, (*session).subscriber, (*session).hold)
	}},
	"deliver-message": {6, func(w *world, s step) {
		w.each(s, (*session).subscriber, func(c *session) { c.release(1) })
	}},
	"release-messages": {2, func(w *world, s step) {
		w.each(s, (*session).subscriber, func(c *session) { c.release(-1) })
	}},
	"cut-subscriber": {3, func(w *world, s step) {
		w.each(s, (*session).subscriber, func(c *session) { c.conn.cut() })
	}},
	"hold-answers":    {1, func(w *world, s step) { w.each(s, commands, (*session).hold) }},
	"release-answers": {3, func(w *world, s step) { w.each(s, commands, func(c *session) { c.release(-1) }) }},
	"fail-reads":      {1, func(w *world, s step) { w.redis.set(func(r *server) { r.failing = 1 + s.a%5 }) }},
	"drop-message": {2, func(w *world, s step) {
		w.redis.set(func(r *server) { r.dropping[s.a%nodes] = 1 + s.b%3 })
	}},
	"trim": {1, func(w *world, s step) {
		w.redis.set(func(r *server) { r.trim(s.a % 10) })
		w.lose(false)
	}},
	"redis-down": {1, func(w *world, s step) { w.redis.set((*server).stop) }},
	"redis-up":   {4, func(w *world, s step) { w.redis.set(func(r *server) { r.down = false }) }},
	"restart": {1, func(w *world, s step) {
		w.redis.set(func(r *server) {
			r.stop()
			if r.history++; s.a%2 == 0 {
				r.empty()
			}
			r.down = false
		})
		if s.a%2 == 0 {
			w.lose(true)
		}
	}},
	"fail-over": {1, func(w *world, s step) {
		w.redis.set(func(r *server) {
			r.stop()
			r.forget(1 + s.a%8)
			r.history++
			r.down = false
		})
		w.lose(true)
	}},

	"wait": {14, func(w *world, s step) {
		w.pass([]time.Duration{
			20 * time.Millisecond, 100 * time.Millisecond, 600 * time.Millisecond, 3 * time.Second, 3 * time.Second,
			12 * time.Second,
		}[s.a%6])
	}},
	"wait-long": {1, func(w *world, s step) { w.pass(70 * time.Second) }},
}

// commands reports whether a connection to Redis has not subscribed.
func commands(c *session) bool { return !c.subscriber() }

// each calls do with the connections of a node to Redis that match.
func (w *world) each(s step, match func(*session) bool, do func(*session)) {
	for _, c := range w.redis.sessions(func(c *session) bool { return c.node == s.a%nodes && match(c) }) {
		do(c)
	}
}

// client1 makes an action for a client with a socket.
func client1(do func(*world, *client, step)) func(*world, step) {
	return clientAny(func(w *world, c *client, s step) {
		if c.conn != nil {
			do(w, c, s)
		}
	})
}

// clientAny makes an action for a client whose connection has not ended.
func clientAny(do func(*world, *client, step)) func(*world, step) {
	return func(w *world, s step) {
		if c := w.clients[s.a%slots]; c != nil && c.open {
			do(w, c, s)
		}
	}
}

// topicsOf returns the topics of a call: one or two.
func topicsOf(s step) []topic {
	t := []topic{{s.b % len(people), kinds[s.c%len(kinds)]}}
	if s.c/len(kinds)%3 == 0 {
		t = append(t, topic{s.b % len(people), kinds[(s.c+1)%len(kinds)]})
	}
	return t
}

// connect makes a client in a free slot.
func (w *world) connect(s step) {
	slot := s.a % slots
	if c := w.clients[slot]; c != nil && c.open {
		return
	}
	w.tokens++
	p := &people[slot%len(people)]
	c := &client{
		w: w, slot: slot, person: p, token: fmt.Sprintf("%s.%d", p.name, w.tokens), node: w.nodes[s.b%nodes],
		notices: s.c%8 != 0, snapshot: s.c/8%4 == 0, resumes: s.c/32%2 == 0, cutoff: never,
		pending: map[string]call{}, topics: map[topic]*period{}, last: make([][3]int, len(people)), open: true,
	}
	w.clients[slot] = c
	if !c.connect() {
		c.lose()
		c.end()
		w.log("%s does not connect", c)
		return
	}
	w.log("%s connects to node %d, notices %t, snapshot %t, resumes %t",
		c, c.node.number, c.notices, c.snapshot, c.resumes)
}

// stop ends the model Redis: all its connections break.
func (s *server) stop() {
	for _, c := range s.conns {
		c.conn.cut()
	}
	s.conns, s.down = nil, true
}

// trim leaves so many entries in each journal.
func (s *server) trim(left int) {
	for _, st := range s.streams {
		st.entries = st.entries[max(0, len(st.entries)-left):]
	}
}

// forget loses the latest entries of each journal, as a replica that becomes the master.
func (s *server) forget(lost int) {
	for key, st := range s.streams {
		kept := max(0, len(st.entries)-lost)
		counter := strings.Replace(key, "j:", "n:", 1)
		for _, r := range st.entries[kept:] {
			if r.fields[0] == "n" {
				n := 0
				_, _ = fmt.Sscan(r.fields[1], &n)
				s.strings[counter] = value{text: fmt.Sprint(n - 1)}
				break
			}
		}
		st.entries = st.entries[:kept]
		if st.last = (backplane.StreamID{}); kept > 0 {
			st.last = st.entries[kept-1].id
		}
	}
}

// schedule makes the schedule of a seed.
func schedule(seed uint64, length int) []step {
	random := rand.New(rand.NewPCG(seed, 0))
	total, names := 0, sorted(actions)
	for _, name := range names {
		total += actions[name].weight
	}
	steps := []step{
		{"tiers", int(seed % 3), 0, 0},
		{"connect", 0, random.IntN(1000), random.IntN(1000)},
		{"connect", 1, random.IntN(1000), random.IntN(1000)},
	}
	for len(steps) < length {
		at := random.IntN(total)
		kind := names[slices.IndexFunc(names, func(name string) bool {
			at -= actions[name].weight
			return at < 0
		})]
		steps = append(steps, step{kind, random.IntN(1000), random.IntN(1000), random.IntN(1000)})
	}
	return steps
}
