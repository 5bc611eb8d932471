package simtest_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/backplane/redis/command"
	"github.com/rte-server/rte-server/internal/events"
)

const (
	slots         = 4 // clients at a time
	nodes         = 2 // of the deployment
	journalLength = 300
)

// world is a deployment, its publishers and its clients, in a bubble of synctest.
type world struct {
	began   time.Time
	redis   *server
	door    *door
	nodes   []*node
	clients []*client // by slot; nil: none
	tokens  int
	policy  int                  // changes of the door
	cutoffs map[[2]events.ID]int // the publications until a user was forbidden an entity

	events []*event // in the order of their first publication
	byID   map[string]*event
	pubs   int
	// The publications until Redis last lost some of them, and until it last removed some from journals.
	forked, trimmed int

	tiers    []int // of its publishers
	trace    []string
	step     int // where the present step begins in trace
	failures []string
	broken   string // the sentence of the first violation, without its subject
}

func newWorld(tiers []int) (*world, error) {
	w := &world{
		tiers: tiers,
		began: time.Now(), redis: newServer(), door: &door{forbidden: map[[2]events.ID]bool{}},
		clients: make([]*client, slots), byID: map[string]*event{}, cutoffs: map[[2]events.ID]int{},
	}
	w.redis.library = true
	for i := range 24 * len(people) { // so that nodes trust publishers to write the journal
		w.publish(topic{i % len(people), kinds[1]}, 2, false)
	}
	for number := range nodes {
		n, err := startNode(w, number)
		if err != nil {
			return nil, err
		}
		w.nodes = append(w.nodes, n)
	}
	return w, nil
}

// log adds a line to the trace. The lines of a step are in the order of clients, each of which has its own order: the
// order of clients is that of Go's maps in the server.
func (w *world) log(format string, args ...any) {
	w.trace = append(w.trace, "    "+fmt.Sprintf(format, args...))
}

// fail records a violation of the guarantee.
func (w *world) fail(format string, args ...any) {
	w.log("VIOLATION: "+format, args...)
	w.failures = append(w.failures, fmt.Sprintf(format, args...))
	w.broken = cmp.Or(w.broken, format)
}

// published returns the number of publications so far.
func (w *world) published() int { return w.pubs }

// rest lets everything happen that takes no time, and clients read.
func (w *world) rest() {
	for range 1000 {
		synctest.Wait()
		read := false
		for _, c := range w.clients {
			if c != nil && c.read() {
				read = true
			}
		}
		if !read {
			return
		}
	}
	w.fail("the world does not come to rest")
}

// pass lets time pass, in parts, so that clients read meanwhile.
func (w *world) pass(d time.Duration) {
	for d > 0 {
		part := min(d, time.Second)
		time.Sleep(part)
		w.rest()
		d -= part
	}
}

// allowed reports whether a person may subscribe to events of an entity.
func (w *world) allowed(p *person, entity int) bool {
	claims := authz.Claims{User: p.id, Organization: p.organization}
	return w.door.allows(&claims, people[entity].organization, people[entity].id)
}

// publish publishes a new event. A publisher of Redis that is away gets an error, and the event does not count.
func (w *world) publish(t topic, tier int, foreign bool) {
	away := false
	if w.redis.set(func(r *server) { away = r.down }); away {
		return
	}
	number := len(w.events) + 1
	id := events.ID{0xee, 8: 0x80, 14: byte(number >> 8), 15: byte(number)}
	p := &people[t.entity]
	ev := &event{
		name: fmt.Sprintf("%s %d (T%d)", t, number, tier), topic: t, tier: tier, foreign: foreign,
		json: fmt.Sprintf(`{"Id":"%s","EventType":"%s","EntityType":"User","EntityId":"%s","UserId":"%[3]s",`+
			`"RootEntityType":"Organization","RootEntityId":"%s","OrganizationId":"%[4]s","MessageTTLSeconds":300}`,
			id, t.kind, p.id, p.organization),
	}
	w.events, w.byID[id.String()] = append(w.events, ev), ev
	w.send(ev)
}

// send publishes an event, perhaps again, as its tier says.
func (w *world) send(ev *event) {
	away := false
	if w.redis.set(func(r *server) { away = r.down }); away {
		return
	}
	w.pubs++
	ev.sent = append(ev.sent, publication{w.pubs, time.Now()})
	name := lane(ev.topic.entity)
	if ev.foreign {
		name = lane(len(people) - 1 - ev.topic.entity)
	}
	s := w.redis
	s.mu.Lock()
	defer s.mu.Unlock()
	dropped := s.dropped
	defer func() { ev.dropped = ev.dropped || s.dropped > dropped }()
	switch ev.tier {
	case 0:
		s.publish(name, ev.json)
	case 1:
		s.add(command.JournalKey(name), journalLength, "d", ev.json)
		s.publish(name, ev.json)
	default:
		keys := []string{command.JournalKey(name), command.CounterKey(name)}
		ttl := "0"
		if ev.topic.state() {
			d := catalog.Definition(typeOf(ev.topic.kind))
			entity := &people[ev.topic.entity]
			ttl = "300"
			keys = append(keys, command.StateKey(name, d, events.Topic{
				Organization: entity.organization, Entity: entity.id, Type: typeOf(ev.topic.kind),
			}))
		}
		s.publishNumbered(keys, []string{name, ev.json, fmt.Sprint(journalLength), ttl, "PUBLISH"})
	}
}

// lose records that Redis loses events that it had acknowledged.
func (w *world) lose(fork bool) {
	if w.trimmed = w.pubs; fork {
		w.forked = w.pubs
	}
	for _, ev := range w.events {
		ev.gone = ev.gone || ev.dropped
	}
}

// revoke revokes the token of a client, on all nodes.
func (w *world) revoke(c *client) {
	for _, n := range w.nodes {
		if err := n.revoke(token.Revocation{TokenID: c.token, Until: time.Now().Add(time.Hour)}); err != nil {
			w.fail("revoke: %v", err)
		}
	}
	c.cutoff = min(c.cutoff, w.pubs)
	for _, p := range c.periods {
		p.cutoff = min(p.cutoff, c.cutoff)
	}
}

// setPolicy allows or forbids a person the events of an entity, on all nodes.
func (w *world) setPolicy(user, entity int, forbidden bool) {
	if !w.door.set(people[user].id, people[entity].id, forbidden) {
		return
	}
	w.policy++
	for _, n := range w.nodes {
		n.hub.Recheck(authz.Change{Entities: []events.ID{people[entity].id}})
	}
	synctest.Wait()
	if !forbidden {
		return
	}
	w.cutoffs[[2]events.ID{people[user].id, people[entity].id}] = w.pubs
	for _, c := range w.clients {
		if c == nil || c.person != &people[user] {
			continue
		}
		for _, p := range c.periods {
			if p.topic.entity == entity {
				p.cutoff = min(p.cutoff, w.pubs)
			}
		}
	}
}

// quiet repairs everything, lets all delays pass, and then judges what the clients have.
func (w *world) quiet() {
	w.begin("quiet")
	w.redis.set(func(r *server) { r.down, r.failing, r.dropping = false, 0, [nodes]int{} })
	for _, c := range w.redis.sessions(func(*session) bool { return true }) {
		c.release(-1)
	}
	for _, c := range w.clients {
		if c != nil {
			c.stalled = false
		}
	}
	w.pass(45 * time.Second)
	for entity := range people {
		w.publish(topic{entity, kinds[1]}, 2, false)
		w.publish(topic{entity, kinds[0]}, 2, false)
	}
	w.pass(15 * time.Second)
	for _, c := range w.clients {
		if c != nil && c.open && c.conn != nil {
			w.missing(c)
			c.acknowledge()
		}
	}
}

// atRest are the metrics that must be zero when no client is left.
var atRest = []string{
	"rte_fanout_outbox_waiting_bytes", "rte_fanout_outboxes_full", "rte_fanout_outboxes_detached",
	"rte_fanout_unacknowledged_bytes", "rte_hub_subscriptions_active", "rte_hub_sessions_open", "rte_hub_answer_bytes",
	"rte_hub_resync_waiting", "rte_hub_sessions_undecided",
}

// end ends all clients and nodes.
func (w *world) end() {
	for _, c := range w.clients {
		if c != nil && c.open {
			c.message(`{"type":7}`)
			w.rest()
			c.lose()
			c.end()
		}
	}
	w.pass(resumeWindow + 5*time.Second)
	for _, n := range w.nodes {
		gauges, err := n.gauges()
		if err != nil {
			w.fail("metrics: %v", err)
		}
		for _, name := range atRest {
			if v, ok := gauges[name]; !ok || v != 0 {
				w.fail("node %d at rest: %s is %v (known: %t)", n.number, name, v, ok)
			}
		}
		if left := n.transport.Connections(); left != 0 {
			w.fail("node %d at rest: %d connections", n.number, left)
		}
	}
	for _, n := range w.nodes {
		n.stop()
	}
	synctest.Wait()
	w.redis.set(func(r *server) {
		if r.unknown != "" {
			w.fail("the model of Redis lacks %s", r.unknown)
		}
	})
}

// begin begins a step in the trace.
func (w *world) begin(text string) {
	w.arrange()
	w.trace = append(w.trace, text)
	w.step = len(w.trace)
}

// arrange sorts the lines of a step by their clients.
func (w *world) arrange() {
	slices.SortStableFunc(w.trace[w.step:], func(a, b string) int {
		return cmp.Compare(strings.Fields(a)[0], strings.Fields(b)[0])
	})
}

// text returns the trace.
func (w *world) text() string {
	w.arrange()
	return strings.Join(w.trace, "\n")
}

func typeOf(name string) events.Type {
	t, ok := catalog.Lookup(name)
	if !ok {
		panic("no event type " + name)
	}
	return t
}
