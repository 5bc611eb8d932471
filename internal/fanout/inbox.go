package fanout

import (
	"sync"
	"sync/atomic"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/wakeup"
)

// command is one thing that a shard has to do.
type command struct {
	next *command
	kind commandKind
	last bool // commandReplay: the last of a batch; beside kind, so that a command takes 128 bytes

	number    uint64     // commandEvent, set by the shard: its place among the events; commandLost: the socket
	from      int        // commandEvent: the place in the topic's list at which it joined the pass
	left      int64      // commandEvent: deliveries that it still has in the backlog
	broadcast *broadcast // commandEvent, commandReplay
	outbox    *Outbox    // all but commandEvent
	frame     []byte     // commandSend: the command's own copy; commandDrained: the buffer to use again
	change    *Change    // commandApply, commandClose
	replay    *Replay    // commandReplay, commandEndReplay
	err       error      // commandDrained
	id        events.ID  // commandReplay: the subscription
}

type commandKind uint8

const (
	commandEvent commandKind = iota
	commandOpen
	commandSend
	commandApply
	commandClose
	commandDrained
	commandReplay
	commandEndReplay
	commandLost
	commandAttach
)

// inbox is the queue in front of a shard. Any goroutine puts commands in; the shard takes all of them at once. It is a
// stack that take reverses, so that put is one compare-and-swap and never waits. Its bound lies with those who create
// commands: the backlog for events, the outbox for sends and changes, and the number of connections for the rest.
type inbox struct {
	head atomic.Pointer[command]
	wake wakeup.Signal // set when the inbox has become non-empty
	shut *command      // in head: put refuses
}

func newInbox() inbox { return inbox{wake: wakeup.New(), shut: &command{}} }

// put adds a command behind all earlier ones. It returns false, and does nothing, once the inbox is shut.
func (q *inbox) put(c *command) bool {
	for {
		head := q.head.Load()
		if head == q.shut {
			return false
		}
		c.next = head
		if q.head.CompareAndSwap(head, c) {
			if head == nil {
				q.wake.Set()
			}
			return true
		}
	}
}

// take empties the inbox and returns the commands in the order of put, nil if there are none.
func (q *inbox) take() *command {
	if q.head.Load() == nil {
		return nil
	}
	return inOrder(q.head.Swap(nil))
}

// close makes put refuse and returns the commands that were left.
func (q *inbox) close() *command { return inOrder(q.head.Swap(q.shut)) }

func inOrder(last *command) (first *command) {
	for last != nil {
		last.next, first, last = first, last, last.next
	}
	return first
}

// maxControl is the size of the largest control frame of a server (RFC 6455 section 5.5): commands keep memory for such
// frames.
const maxControl = 2 + 125

// sends holds spare commands of Outbox.Send, with the memory of their frames: a client may cause a pong for each of its
// pings.
type sends struct{ pool sync.Pool }

// get returns a command with a copy of a frame.
func (s *sends) get(o *Outbox, frame []byte) *command {
	c, ok := s.pool.Get().(*command)
	if !ok {
		c = &command{kind: commandSend}
	}
	c.outbox, c.frame = o, append(c.frame[:0], frame...)
	return c
}

// put takes a command back.
func (s *sends) put(c *command) {
	c.next, c.outbox = nil, nil
	if cap(c.frame) > 2*maxControl {
		c.frame = nil
	}
	s.pool.Put(c)
}
