package hub

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
)

// active is the list of a session's subscriptions in the order of their topics. A node may have millions of them: a
// sorted list takes 24 bytes for each with little slack, a map twice as much. The order begins with the names that
// clients use, entity and event, so that a client that does not name the organization finds its subscriptions too.
type active []fanout.Subscription

// compareTopics orders by entity and event, and then by organization.
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

func compareSubscriptions(a, b fanout.Subscription) int {
	return compareTopics(a.Entry.Topic(), b.Entry.Topic())
}

// find returns the subscription to a topic.
func (a active) find(topic events.Topic) (l fanout.Subscription, ok bool) {
	i, ok := slices.BinarySearchFunc(a, topic, func(l fanout.Subscription, topic events.Topic) int {
		return compareTopics(l.Entry.Topic(), topic)
	})
	if !ok {
		return l, false
	}
	return a[i], true
}

// has reports whether there is a subscription to a topic.
func (a active) has(topic events.Topic) bool {
	_, ok := a.find(topic)
	return ok
}

// named returns the subscriptions to an event of an entity: one, or one per organization if the entity has moved.
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

// with returns the list with the added subscriptions, whose topics must not be in it. It sorts added.
func (a active) with(added []fanout.Subscription) active {
	slices.SortFunc(added, compareSubscriptions)
	old, from := len(a)-1, len(added)-1
	if n := len(a) + len(added); n > cap(a) {
		grown := make(active, len(a), n+n/16) // append would leave up to a quarter unused
		copy(grown, a)
		a = grown
	}
	a = a[:len(a)+len(added)]
	for to := len(a) - 1; from >= 0; to-- {
		if old >= 0 && compareSubscriptions(a[old], added[from]) > 0 {
			a[to] = a[old]
			old--
		} else {
			a[to] = added[from]
			from--
		}
	}
	return a
}

// without returns the list without the removed subscriptions, which must all be in it. It sorts removed.
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

// entries returns the registry entries of all subscriptions.
func (a active) entries() []*fanout.Entry {
	entries := make([]*fanout.Entry, len(a))
	for i := range a {
		entries[i] = a[i].Entry
	}
	return entries
}
