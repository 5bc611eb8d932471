package subscriptions

import (
	"slices"

	"github.com/rte-server/rte-server/internal/events"
)

// Table is what one shard knows: which of its subscribers listen to an entry. Only the shard's goroutine may use it.
// S is the subscriber, a pointer in practice.
type Table[S comparable] struct {
	lists map[*Entry]*list[S]
}

// Subscriber is a subscription as the shard sees it: 24 bytes, of which a node may hold millions.
type Subscriber[S comparable] struct {
	Who S
	ID  events.ID // the subscription id
}

type list[S comparable] struct {
	subscribers []Subscriber[S]
	stale       int // how many of them Abandon left behind
}

// NewTable makes an empty table.
func NewTable[S comparable]() *Table[S] {
	return &Table[S]{lists: map[*Entry]*list[S]{}}
}

// Add adds a subscription. The caller sees to it that there is only one of who and e.
func (t *Table[S]) Add(e *Entry, who S, id events.ID) {
	l := t.lists[e]
	if l == nil {
		l = &list[S]{}
		t.lists[e] = l
	}
	l.subscribers = append(l.subscribers, Subscriber[S]{who, id})
	e.listeners.Add(1)
}

// Remove takes the subscription of who out; empty says that it was the last one of this shard.
func (t *Table[S]) Remove(e *Entry, who S) (empty bool) {
	l := t.lists[e]
	if l == nil {
		return true
	}
	i := slices.IndexFunc(l.subscribers, func(s Subscriber[S]) bool { return s.Who == who })
	if i < 0 {
		return false
	}
	last := len(l.subscribers) - 1
	l.subscribers[i] = l.subscribers[last]
	l.subscribers[last] = Subscriber[S]{}
	l.subscribers = l.subscribers[:last]
	e.listeners.Add(-1)
	return t.tidy(e, l)
}

// Abandon says that one subscriber of e has ended, without looking for it: searching would make the end of
// 50,000 connections of one topic a quadratic job. Once half of a list has ended it is swept with ended, so
// that a subscription costs a constant time to lose and an ended subscriber is not kept for long.
func (t *Table[S]) Abandon(e *Entry, ended func(S) bool) (empty bool) {
	e.listeners.Add(-1)
	l := t.lists[e]
	if l == nil {
		return true // swept with another one
	}
	l.stale++
	if l.stale*2 <= len(l.subscribers) {
		return false
	}
	l.subscribers = slices.DeleteFunc(l.subscribers, func(s Subscriber[S]) bool { return ended(s.Who) })
	l.stale = 0
	return t.tidy(e, l)
}

// tidy gives memory back and drops a list that is empty.
func (t *Table[S]) tidy(e *Entry, l *list[S]) (empty bool) {
	if len(l.subscribers) == 0 {
		delete(t.lists, e)
		return true
	}
	if cap(l.subscribers) > 64 && len(l.subscribers)*4 < cap(l.subscribers) {
		l.subscribers = slices.Clip(slices.Clone(l.subscribers))
	}
	return false
}

// Subscribers are the subscriptions of e, in no order; subscribers that have ended may still be among them. The
// slice is valid until the table changes.
func (t *Table[S]) Subscribers(e *Entry) []Subscriber[S] {
	if l := t.lists[e]; l != nil {
		return l.subscribers
	}
	return nil
}

// Len is the number of topics with a subscriber in this shard.
func (t *Table[S]) Len() int { return len(t.lists) }
