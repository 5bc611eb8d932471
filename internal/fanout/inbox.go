package fanout

import (
	"sync/atomic"

	"github.com/rte-server/rte-server/internal/events"
)

// item is one thing a shard has to do.
type item struct {
	next *item
	kind itemKind

	number    uint64     // itemEvent, given by the shard: its place among the events
	from      int        // itemEvent: where in its topic's list it joined the pass
	left      int64      // itemEvent: what it still adds to the backlog
	broadcast *broadcast // itemEvent, itemReplay
	box       *Outbox    // all others
	frame     []byte     // itemSend: what to send; itemDrained: the buffer to use again
	change    *Change    // itemChange, itemClose; itemReplay, itemReplayEnd: the mark of the replay
	err       error      // itemDrained
	id        events.ID  // itemReplay: the subscription
	last      bool       // itemReplay: of a batch
}

type itemKind uint8

const (
	itemEvent itemKind = iota
	itemOpen
	itemSend
	itemChange
	itemClose
	itemDrained
	itemReplay
	itemReplayEnd
)

// inbox is the queue in front of a shard: any number of goroutines put items in, the shard takes them all at once.
// It is a stack that is turned around when it is taken, so putting is one compare-and-swap and never waits. What
// bounds it is decided where items are made: events by the backlog, sends and what clients change by the outbox, the rest
// by the number of connections.
type inbox struct {
	head atomic.Pointer[item]
	// wake holds a token when the inbox has been empty and is not any more. Who finds it full knows that the
	// shard has not looked yet.
	wake chan struct{}
}

// shut stands in an inbox that takes nothing any more.
var shut = &item{}

func newInbox() inbox { return inbox{wake: make(chan struct{}, 1)} }

// put adds an item behind all that were put before. It says false, and does nothing, once the inbox is shut.
func (q *inbox) put(it *item) bool {
	for {
		head := q.head.Load()
		if head == shut {
			return false
		}
		it.next = head
		if q.head.CompareAndSwap(head, it) {
			if head == nil {
				q.ring()
			}
			return true
		}
	}
}

func (q *inbox) ring() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take empties the inbox and returns the items in the order they were put, nil if there are none.
func (q *inbox) take() *item {
	if q.head.Load() == nil {
		return nil
	}
	return inOrder(q.head.Swap(nil))
}

// shut makes put refuse and returns what was left.
func (q *inbox) shut() *item { return inOrder(q.head.Swap(shut)) }

func inOrder(last *item) (first *item) {
	for last != nil {
		last.next, first, last = first, last, last.next
	}
	return first
}
