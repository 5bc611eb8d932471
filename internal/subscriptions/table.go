package subscriptions

import (
	"slices"

	"github.com/rte-server/rte-server/internal/events"
)

// Table knows the subscribers that one shard has for each entry. Only the shard's goroutine may use it. S identifies a
// subscriber, in practice by a pointer; its zero value marks a subscription that was removed.
type Table[O any, S comparable] struct {
	lists map[*Entry[O]]*List[S]
	ended func(S) bool
}

// Subscriber is a subscription in a table. It takes 32 bytes, and a node may hold millions of them.
type Subscriber[S comparable] struct {
	Target S         // who receives the events; the zero value once the subscription has ended
	ID     events.ID // the subscription id
	// Since is the number of the last event before the subscription began.
	Since uint64
}

// List holds the subscribers of one entry, in no particular order. It may contain subscribers that have ended.
type List[S comparable] struct {
	subscribers []Subscriber[S]
	stale       int  // number of subscribers that have ended
	held        bool // a caller of Hold iterates over the list
	// removed maps the subscribers that were removed from a long list since the last sweep to the first place at which
	// they may be again. nil: there are none.
	removed map[S]int
}

// longList is the length from which Remove does not search a list.
const longList = 64

// NewTable returns an empty table. ended must report whether a subscriber has ended.
func NewTable[O any, S comparable](ended func(S) bool) *Table[O, S] {
	return &Table[O, S]{lists: map[*Entry[O]]*List[S]{}, ended: ended}
}

// Add adds a subscription. The caller must not add a subscriber of e twice.
func (t *Table[O, S]) Add(e *Entry[O], s Subscriber[S]) {
	l := t.lists[e]
	if l == nil {
		l = &List[S]{}
		t.lists[e] = l
	}
	if n := len(l.subscribers); n == cap(l.subscribers) {
		// Grow by an eighth. append would grow by a quarter and double the list below 256; there are millions of them.
		grown := make([]Subscriber[S], n, n+n/8+1)
		copy(grown, l.subscribers)
		l.subscribers = grown
	}
	l.subscribers = append(l.subscribers, s)
	e.subscribers.Add(1)
}

// Remove removes a subscription, which must exist, and reports whether it was the shard's last one of e. It does not
// search a long list; the subscription leaves that at the next visit or sweep. Searching took 30 us with 50,000
// subscribers, and a change of the policy can end the subscriptions of all of them.
func (t *Table[O, S]) Remove(e *Entry[O], target S) (empty bool) {
	l := t.lists[e]
	switch {
	case l == nil: // already swept, which happens to ended subscribers
	case len(l.subscribers) >= longList:
		if l.removed == nil {
			l.removed = map[S]int{}
		}
		l.removed[target] = len(l.subscribers)
	default:
		if i := slices.IndexFunc(l.subscribers, func(s Subscriber[S]) bool { return s.Target == target }); i >= 0 {
			l.subscribers[i] = Subscriber[S]{}
		}
	}
	return t.countEnd(e, l)
}

// Abandon counts the end of one subscriber of e without searching for it, and reports whether it was the shard's last
// one. Searching would make the end of 50,000 connections with one common topic quadratic.
func (t *Table[O, S]) Abandon(e *Entry[O]) (empty bool) {
	return t.countEnd(e, t.lists[e])
}

// countEnd counts a subscription that has ended. It sweeps a list once half of it has ended: the amortized cost of an
// end is constant, and an ended subscriber is not kept for long.
func (t *Table[O, S]) countEnd(e *Entry[O], l *List[S]) (empty bool) {
	e.subscribers.Add(-1)
	if l == nil {
		return true // an earlier sweep removed it
	}
	l.stale++
	return t.sweep(e, l)
}

func (t *Table[O, S]) sweep(e *Entry[O], l *List[S]) (empty bool) {
	if l.held || !l.Stale() {
		return false
	}
	if l.removed != nil {
		for i := range l.subscribers {
			l.clearRemoved(i)
		}
		l.removed = nil
	}
	var none S
	l.subscribers = slices.DeleteFunc(l.subscribers, func(s Subscriber[S]) bool {
		return s.Target == none || t.ended(s.Target)
	})
	l.stale = 0
	if len(l.subscribers) == 0 {
		delete(t.lists, e)
		return true
	}
	if cap(l.subscribers) > 64 && len(l.subscribers)*4 < cap(l.subscribers) {
		l.subscribers = slices.Clip(slices.Clone(l.subscribers))
	}
	return false
}

// Find returns the list of e, nil if the shard has no subscriber of it.
func (t *Table[O, S]) Find(e *Entry[O]) *List[S] { return t.lists[e] }

// Hold keeps the subscribers of a list at their places until Table.LetGo; additions go to the end.
func (l *List[S]) Hold() { l.held = true }

// Stale reports whether more than half of the list has ended. A held list is swept when it is let go.
func (l *List[S]) Stale() bool { return l.stale*2 > len(l.subscribers) }

// LetGo ends Hold and reports whether the list of e is empty now.
func (t *Table[O, S]) LetGo(e *Entry[O], l *List[S]) (empty bool) {
	l.held = false
	return l.stale > 0 && t.sweep(e, l)
}

// Len returns the length of the list, including subscribers that have ended.
func (l *List[S]) Len() int { return len(l.subscribers) }

// At returns the subscriber at a place.
func (l *List[S]) At(i int) *Subscriber[S] {
	if l.removed != nil {
		l.clearRemoved(i)
	}
	return &l.subscribers[i]
}

// clearRemoved clears the place i if its subscriber was removed.
func (l *List[S]) clearRemoved(i int) {
	s := &l.subscribers[i]
	if from, ok := l.removed[s.Target]; ok && i < from {
		*s = Subscriber[S]{}
	}
}

// Len returns the number of topics with subscribers in this shard.
func (t *Table[O, S]) Len() int { return len(t.lists) }
