package simtest_test

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

const never = math.MaxInt

// person is a user of an organization, and an entity that has events.
type person struct {
	name             string
	id, organization events.ID
}

var (
	ours   = events.ID{0xa1, 15: 1}
	theirs = events.ID{0xb2, 15: 2}
	people = []person{
		{"alice", events.ID{0xaa, 15: 1}, ours},
		{"bob", events.ID{0xbb, 15: 2}, ours},
		{"carol", events.ID{0xcc, 15: 3}, theirs},
	}
	kinds = []string{"UserStatus", "UserCallInArrived", "UserAlert"}
)

// topic is what clients subscribe to: an entity, by its place in people, and an event type.
type topic struct {
	entity int
	kind   string
}

func (t topic) String() string { return people[t.entity].name + " " + t.kind }

// state reports whether a newer event of the topic replaces an older one.
func (t topic) state() bool { return t.kind == "UserStatus" }

// topicOf finds the topic of a described subscription.
func topicOf(d *described) (topic, bool) {
	for i := range people {
		if people[i].id.String() == d.EntityID {
			return topic{i, d.Type}, true
		}
	}
	return topic{}, false
}

func laneOf(t events.Topic) string { return backplane.Layout{}.Lane(t.Organization, t.Entity) }

// lane returns the name of the lane of an entity.
func lane(entity int) string {
	return backplane.Layout{}.Lane(people[entity].organization, people[entity].id)
}

// event is an event that publishers had acknowledged.
type event struct {
	name    string // for the trace
	topic   topic
	tier    int
	json    string
	foreign bool // it was published on the lane of another organization
	dropped bool // Redis has not sent it to all nodes, so that it may come late
	gone    bool // Redis has then lost it
	sent    []publication
}

// publication is one of the times at which an event was published.
type publication struct {
	number int // counts the publications of all events
	at     time.Time
}

// period is the life of a subscription, as its client sees it.
type period struct {
	topic    topic
	id       string // the subscription id; empty until the first message that has it
	from, to int    // the client must get events published behind from, until to
	cutoff   int    // the client must not get events published behind it
	closed   bool   // the client knows its end
	last     [3]int // the latest publication that came, by tier
	seen     map[*event]bool
	informed []interval
}

// interval is a time in which events may be missing, of which the client was informed.
type interval struct {
	from, to *time.Time
	at       time.Time // when the client was informed
}

// covers reports whether events published at a time may be missing. The wire has milliseconds.
func (i *interval) covers(t time.Time) bool {
	return !t.After(i.at) && (i.from == nil || !t.Before(i.from.Add(-time.Millisecond))) &&
		(i.to == nil || !t.After(i.to.Add(time.Millisecond)))
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func sortedTopics(m map[topic]*period) []topic {
	return slices.SortedFunc(maps.Keys(m), func(a, b topic) int {
		return cmp.Or(a.entity-b.entity, cmp.Compare(a.kind, b.kind))
	})
}

// find returns the period of a described subscription; nil: the client has none.
func (c *client) find(d *described) *period {
	for _, p := range c.periods {
		if p.id == d.ID {
			return p
		}
	}
	t, ok := topicOf(d)
	if p := c.topics[t]; ok && p != nil && p.id == "" {
		p.id = d.ID
		return p
	}
	c.w.fail("%s got a message of subscription %s %s, which it does not have", c, d.EntityID, d.Type)
	return nil
}

// close records that the client knows the end of a subscription.
func (c *client) close(p *period) {
	p.closed = true
	delete(c.topics, p.topic)
}

// event judges an event that came.
func (c *client) event(d *described, id string) {
	ev := c.w.byID[id]
	if ev == nil {
		c.w.fail("%s got an event with the Id %q", c, id)
		return
	}
	c.w.log("%s gets %s", c, ev.name)
	p, last := c.find(d), ev.sent[len(ev.sent)-1].number
	switch t, _ := topicOf(d); {
	case p == nil:
		return
	case ev.foreign:
		c.w.fail("%s got %s of another organization", c, ev.name)
	case ev.topic != t || ev.topic != p.topic:
		c.w.fail("%s got %s with the subscription to %s", c, ev.name, t)
	case p.closed:
		c.w.fail("%s got %s after the end of the subscription", c, ev.name)
	case ev.sent[0].number > p.cutoff:
		c.w.fail("%s got %s, published when it was no longer permitted", c, ev.name)
	case ev.dropped, last <= c.w.forked, last <= c.w.trimmed && !ev.topic.state():
		// Redis itself has lost something: the event may come late.
		p.seen[ev] = true
		return
	case p.seen[ev] && !(c.snapshot && ev.topic.state() && len(ev.sent) > 1):
		// A state that came as a snapshot may come again if its publisher repeats it: the node did not see the first one.
		c.w.fail("%s got %s twice", c, ev.name)
	}
	p.seen[ev] = true
	if !ev.follows(&p.last[ev.tier]) {
		c.w.fail("%s got %s after a later event of its topic", c, ev.name)
	}
	if !ev.topic.state() && !ev.follows(&c.last[ev.topic.entity][ev.tier]) {
		c.w.fail("%s got %s after a later call event of its entity", c, ev.name)
	}
}

// follows reports whether a publication of the event follows the last one that came, and makes it the last one.
func (ev *event) follows(last *int) bool {
	for _, s := range ev.sent {
		if s.number > *last {
			*last = s.number
			return true
		}
	}
	return false
}

// missing fails for acknowledged events that a client has not got although it was not informed.
func (w *world) missing(c *client) {
	for _, t := range sortedTopics(c.topics) {
		p := c.topics[t]
		if p.cutoff < never {
			continue // the subscription has ended, and a client without notices does not know
		}
		latest := 0 // of the states that came
		for ev := range p.seen {
			latest = max(latest, ev.sent[len(ev.sent)-1].number)
		}
		for _, ev := range w.events {
			first := ev.sent[0]
			if ev.topic != t || ev.foreign || ev.gone || p.seen[ev] || first.number <= p.from || first.number > p.to {
				continue
			}
			if t.state() && latest > first.number {
				continue
			}
			if ev.dropped && len(p.informed) > 0 {
				continue // a real Redis loses no message of a live connection, so that the interval may be too short
			}
			if !slices.ContainsFunc(p.informed, func(i interval) bool { return i.covers(first.at) }) {
				w.fail("%s never got %s, published at %s, and was not informed", c, ev.name, w.clock(first.at))
			}
		}
	}
}

// span names an interval of a Resync.
func (w *world) span(from, to *time.Time) string {
	text := [2]string{"the beginning", "now"}
	for i, t := range [2]*time.Time{from, to} {
		if t != nil {
			text[i] = w.clock(*t)
		}
	}
	return text[0] + " to " + text[1]
}

// clock shows a time as the time since the world began.
func (w *world) clock(t time.Time) string { return fmt.Sprint(t.Sub(w.began).Round(time.Millisecond)) }
