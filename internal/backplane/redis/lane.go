package redis

import (
	"sync"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// subscription is what the server knows of a lane, as far as this node knows.
type subscription uint8

const (
	// unsubscribed: no message arrives, and none was asked for.
	unsubscribed subscription = iota
	// subscribing: asked for, not confirmed.
	subscribing
	// subscribed: confirmed.
	subscribed
	// unsubscribing: given up, not confirmed.
	unsubscribing
)

// lane is a Redis channel that carries events of one organization.
type lane struct {
	// Static.
	name         string
	organization events.ID

	// Guarded by table.mu.
	refs    int           // topics that were acquired and not released
	expires time.Time     // when to unsubscribe a lane without topics; zero: it has some, or is gone
	state   subscription  // at the link's present epoch
	queued  bool          // it is in its link's queue
	alone   bool          // it is subscribed by a command of its own, as the server refused it in company
	failed  error         // why the server refused it; nil: it did not
	changed chan struct{} // closed when state or failed change; nil: nobody waits

	mailbox mailbox
}

// notifyLocked wakes those that wait for the lane.
func (l *lane) notifyLocked() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// changedLocked is closed at the next change.
func (l *lane) changedLocked() <-chan struct{} {
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.changed
}

// mailbox holds the messages of a lane from the reader until a worker takes them. Its scheduled flag gives the lane
// to one worker at a time, which keeps its events in order.
type mailbox struct {
	mu        sync.Mutex
	messages  []message // guarded by mu
	spare     []message // guarded by mu; an empty slice to reuse
	bytes     int       // guarded by mu; of messages
	scheduled bool      // guarded by mu; the lane is in the scheduler or with a worker
}

// message is what arrived on a lane.
type message struct {
	payload []byte
	tooLong int // the size of a payload that was not kept; else 0
}

// size is what the message counts for in a queue: a message without text takes room, too.
func (m *message) size() int { return len(m.payload) + 64 }

// quantum is how many bytes of a lane's messages a worker handles before it goes on to the next lane.
const quantum = 64 << 10

// put appends a message unless the mailbox then holds more than limit bytes. schedule says that the lane must be
// given to the scheduler.
func (m *mailbox) put(msg message, limit int) (ok, schedule bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bytes+msg.size() > limit {
		return false, false
	}
	m.messages = append(m.messages, msg)
	m.bytes += msg.size()
	schedule = !m.scheduled
	m.scheduled = true
	return true, schedule
}

// take returns the first messages, about a quantum, and their bytes. None are left: the lane is no longer scheduled.
func (m *mailbox) take() (taken []message, bytes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bytes <= quantum {
		taken, bytes = m.messages, m.bytes
		m.messages, m.spare = m.spare, nil
	} else {
		for bytes < quantum {
			bytes += m.messages[len(taken)].size()
			taken = m.messages[:len(taken)+1]
		}
		m.messages = m.messages[len(taken):]
		taken = taken[:len(taken):len(taken)]
	}
	m.bytes -= bytes
	m.scheduled = len(taken) > 0
	return taken, bytes
}

// give returns the slice that take handed out, for reuse.
func (m *mailbox) give(taken []message) {
	clear(taken)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.spare == nil && cap(taken) <= 1024 {
		m.spare = taken[:0]
	}
}
