package hub

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
)

// active are the subscriptions of a session in the order of their topics. A node may have millions of them: a sorted
// list has 24 bytes for each and little slack, where a map has twice as much, and finds a subscription by the names
// that a client knows, which say nothing of the organization.
type active []fanout.Subscription

// compareTopics orders by what clients name, entity and event, and then by organization.
func compareTopics(a, b events.Topic) int {
	if c := compareNames(a, b); c != 0 {
		return c
	}
	return bytes.Compare(a.Organization[:], b.Organization[:])
}

func compareNames(a, b events.Topic) int {
	if c := bytes.Compare(a.Entity[:], b.Entity[:]); c != 0 {
		return c
	}
	return cmp.Compare(a.Type, b.Type)
}

func compareListeners(a, b fanout.Subscription) int {
	return compareTopics(a.Entry.Topic(), b.Entry.Topic())
}

// find finds the subscription to a topic.
func (a active) find(topic events.Topic) (l fanout.Subscription, ok bool) {
	i, ok := slices.BinarySearchFunc(a, topic, func(l fanout.Subscription, topic events.Topic) int {
		return compareTopics(l.Entry.Topic(), topic)
	})
	if !ok {
		return l, false
	}
	return a[i], true
}

// has says whether there is a subscription to a topic.
func (a active) has(topic events.Topic) bool {
	_, ok := a.find(topic)
	return ok
}

// named are the subscriptions to an event of an entity: one, or one per organization if the entity has moved.
func (a active) named(entity events.ID, event events.Type) active {
	name := events.Topic{Entity: entity, Type: event}
	first, _ := slices.BinarySearchFunc(a, name, func(l fanout.Subscription, name events.Topic) int {
		return compareNames(l.Entry.Topic(), name)
	})
	end := first
	for end < len(a) && compareNames(a[end].Entry.Topic(), name) == 0 {
		end++
	}
	return a[first:end]
}

// with adds subscriptions to topics that are not there yet. It sorts added.
func (a active) with(added []fanout.Subscription) active {
	slices.SortFunc(added, compareListeners)
	old, from := len(a)-1, len(added)-1
	if n := len(a) + len(added); n > cap(a) {
		grown := make(active, len(a), n+n/16) // append would leave up to a quarter unused
		copy(grown, a)
		a = grown
	}
	a = a[:len(a)+len(added)]
	for to := len(a) - 1; from >= 0; to-- {
		if old >= 0 && compareListeners(a[old], added[from]) > 0 {
			a[to] = a[old]
			old--
		} else {
			a[to] = added[from]
			from--
		}
	}
	return a
}

// without takes subscriptions out, which must all be there. It sorts removed.
func (a active) without(removed []*fanout.Entry) active {
	if len(removed) == len(a) {
		return nil
	}
	slices.SortFunc(removed, func(x, y *fanout.Entry) int { return compareTopics(x.Topic(), y.Topic()) })
	next := 0
	a = slices.DeleteFunc(a, func(l fanout.Subscription) bool {
		if next == len(removed) || l.Entry != removed[next] {
			return false
		}
		next++
		return true
	})
	if cap(a) > 64 && len(a)*2 < cap(a) {
		return slices.Clone(a)
	}
	return a
}

// entries are those of all subscriptions.
func (a active) entries() []*fanout.Entry {
	entries := make([]*fanout.Entry, len(a))
	for i := range a {
		entries[i] = a[i].Entry
	}
	return entries
}
