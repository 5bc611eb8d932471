package subscriptions

import (
	"slices"

	"github.com/rte-server/rte-server/internal/events"
)

// Table is what one shard knows: which of its subscribers listen to an entry. Only the shard's goroutine may use it.
// S is the subscriber, a pointer in practice; its zero value is nobody.
type Table[S comparable] struct {
	lists map[*Entry]*List[S]
	ended func(S) bool
}

// Subscriber is a subscription as the shard sees it: 32 bytes, of which a node may hold millions.
type Subscriber[S comparable] struct {
	Who S         // the zero value where a subscription has ended
	ID  events.ID // the subscription id
	// Since is the number of the last event that came before the subscription.
	Since uint64
}

// List is the subscribers of an entry, in no order. Subscribers that have ended may still be among them.
type List[S comparable] struct {
	subscribers []Subscriber[S]
	stale       int  // how many of them have ended
	held        bool // somebody is on the way through the list
	// gone are those that were removed from a long list since it was swept, each with the place from which on it may be
	// again. nil: none.
	gone map[S]int
}

// longList is the length from which on Remove does not search a list.
const longList = 64

// NewTable makes an empty table. ended says whether a subscriber has ended.
func NewTable[S comparable](ended func(S) bool) *Table[S] {
	return &Table[S]{lists: map[*Entry]*List[S]{}, ended: ended}
}

// Add adds a subscription. The caller sees to it that there is only one of a subscriber and e.
func (t *Table[S]) Add(e *Entry, s Subscriber[S]) {
	l := t.lists[e]
	if l == nil {
		l = &List[S]{}
		t.lists[e] = l
	}
	if n := len(l.subscribers); n == cap(l.subscribers) {
		// By an eighth, where append would take a quarter and, below 256, as much again: there are millions.
		grown := make([]Subscriber[S], n, n+n/8+1)
		copy(grown, l.subscribers)
		l.subscribers = grown
	}
	l.subscribers = append(l.subscribers, s)
	e.listeners.Add(1)
}

// Remove takes the subscription of who out, who has one; empty says that this shard has no other. In a long list it is
// taken out when somebody comes by: searching took 30 us with 50,000 subscribers, and a change of the policy can end the
// subscriptions of all.
func (t *Table[S]) Remove(e *Entry, who S) (empty bool) {
	l := t.lists[e]
	switch {
	case l == nil: // swept, as an ended subscriber may be
	case len(l.subscribers) >= longList:
		if l.gone == nil {
			l.gone = map[S]int{}
		}
		l.gone[who] = len(l.subscribers)
	default:
		if i := slices.IndexFunc(l.subscribers, func(s Subscriber[S]) bool { return s.Who == who }); i >= 0 {
			l.subscribers[i] = Subscriber[S]{}
		}
	}
	return t.lose(e, l)
}

// Abandon says that one subscriber of e has ended, without looking for it: searching would make the end of
// 50,000 connections of one topic a quadratic job.
func (t *Table[S]) Abandon(e *Entry) (empty bool) {
	return t.lose(e, t.lists[e])
}

// lose counts a subscription that has ended. Once that is half of a list, the list is swept, so that a subscription
// costs a constant time to lose and an ended subscriber is not kept for long.
func (t *Table[S]) lose(e *Entry, l *List[S]) (empty bool) {
	e.listeners.Add(-1)
	if l == nil {
		return true // swept together with another one
	}
	l.stale++
	return t.sweep(e, l)
}

func (t *Table[S]) sweep(e *Entry, l *List[S]) (empty bool) {
	if l.held || !l.Stale() {
		return false
	}
	if l.gone != nil {
		for i := range l.subscribers {
			l.take(i)
		}
		l.gone = nil
	}
	var nobody S
	l.subscribers = slices.DeleteFunc(l.subscribers, func(s Subscriber[S]) bool {
		return s.Who == nobody || t.ended(s.Who)
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

// Find is the list of e, nil if nobody listens to it.
func (t *Table[S]) Find(e *Entry) *List[S] { return t.lists[e] }

// Hold keeps what is in a list at its place until LetGo; additions come at the end.
func (l *List[S]) Hold() { l.held = true }

// Stale says that more than half of the list has ended, and waits to be swept if it is held.
func (l *List[S]) Stale() bool { return l.stale*2 > len(l.subscribers) }

// LetGo ends Hold. empty says that nobody is left in the list of e.
func (t *Table[S]) LetGo(e *Entry, l *List[S]) (empty bool) {
	l.held = false
	return l.stale > 0 && t.sweep(e, l)
}

// Len is the length of the list, with those that have ended.
func (l *List[S]) Len() int { return len(l.subscribers) }

// At is the subscription at a place.
func (l *List[S]) At(i int) *Subscriber[S] {
	if l.gone != nil {
		l.take(i)
	}
	return &l.subscribers[i]
}

// take takes the subscription at a place out if it was removed.
func (l *List[S]) take(i int) {
	s := &l.subscribers[i]
	if from, ok := l.gone[s.Who]; ok && i < from {
		*s = Subscriber[S]{}
	}
}

// Len is the number of topics with a subscriber in this shard.
func (t *Table[S]) Len() int { return len(t.lists) }
