package redis

import (
	"bytes"
	"sync"
	"time"

	"github.com/rte-server/rte-server/internal/backplane/resp"
	"github.com/rte-server/rte-server/internal/backplane/sequence"
)

// mailbox holds the entries of a lane, from the reader and the repairers, until a worker takes them. The scheduled
// flag gives the lane to one worker at a time, which keeps its events in order.
type mailbox struct {
	mu        sync.Mutex
	entries   []entry     // guarded by mu
	spare     []entry     // guarded by mu; an empty slice to reuse
	bytes     int         // guarded by mu; of entries
	latest    *resp.Chunk // guarded by mu; of the message appended last; nil: none since entries was empty
	oldest    *resp.Chunk // guarded by mu; of the message taken last; nil: none since then
	chunks    int         // guarded by mu; about how many chunks contain the entries
	scheduled bool        // guarded by mu; the lane is in the scheduler or with a worker
}

// entry is a message that arrived on a lane, or an action.
type entry struct {
	payload []byte
	chunk   *resp.Chunk   // contains the payload; nil: none does
	era     *sequence.Era // the latest when the message was read
	action  action        // nil: it is a message
	arrived int64         // when it was read, in nanoseconds of Unix time
}

// action is run by the worker of a lane between two messages.
type action interface {
	run(w *worker, l *lane, now time.Time)
}

// entryCost is the memory of an entry beside its payload.
const entryCost = 64

func (i *entry) size() int { return len(i.payload) + entryCost }

// A message keeps its chunk alive, with the messages of all other lanes in it. A lane that falls behind may keep
// chunksHeld chunks, and further chunks as long as they are not much larger than its messages. Beyond that, messages
// are copied.
const (
	chunksHeld = 4
	chunkRatio = 4
)

// quantum is how many bytes of a lane's messages a worker handles before it takes the next lane.
const quantum = 64 << 10

// put appends an entry. If limit is not 0 and the mailbox would exceed it in bytes, put does nothing and returns ok
// false. schedule reports whether the lane must be given to the scheduler.
func (m *mailbox) put(e entry, limit int) (ok, schedule bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if limit > 0 && m.bytes+e.size() > limit {
		return false, false
	}
	if e.chunk != nil && e.chunk != m.latest {
		if m.chunks >= chunksHeld+chunkRatio*m.bytes/resp.ChunkSize {
			e.payload = bytes.Clone(e.payload)
			e.chunk.Release(1)
			e.chunk = nil
		} else {
			m.latest = e.chunk
			m.chunks++
		}
	}
	return true, m.appendLocked(e)
}

// emptyLocked resets the chunks when no messages are left.
func (m *mailbox) emptyLocked() { m.latest, m.oldest, m.chunks = nil, nil, 0 }

func (m *mailbox) appendLocked(e entry) (schedule bool) {
	m.entries = append(m.entries, e)
	m.bytes += e.size()
	schedule = !m.scheduled
	m.scheduled = true
	return schedule
}

// overflow appends a note that messages were dropped. If the last entry is such a note, overflow adds to it, and merged
// is true: a lane that falls behind for long has one such entry, not one per message.
func (m *mailbox) overflow(n *overflowed) (merged, schedule bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if last := len(m.entries) - 1; last >= 0 {
		if before, ok := m.entries[last].action.(*overflowed); ok {
			before.lapse.Plain += n.lapse.Plain
			return true, false
		}
	}
	return false, m.appendLocked(entry{action: n})
}

// shed removes all messages and leaves the actions. first is the first message; nil if there was none. plain is how
// many of the messages had no position.
func (m *mailbox) shed() (first *entry, bytes, plain int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var kept []entry
	for i := range m.entries {
		e := &m.entries[i]
		if e.action != nil {
			kept = append(kept, *e)
			continue
		}
		if first == nil {
			first = e
		}
		if len(e.payload) == 0 || e.payload[0] != '#' {
			plain++
		}
		bytes += e.size()
	}
	m.entries = kept
	m.bytes -= bytes
	m.emptyLocked()
	return first, bytes, plain
}

// take removes and returns the first entries, about a quantum, and their bytes. If there are none, the lane is no
// longer scheduled.
func (m *mailbox) take() (taken []entry, bytes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bytes <= quantum {
		taken, bytes = m.entries, m.bytes
		m.entries, m.spare = m.spare, nil
		m.emptyLocked()
	} else {
		n := 0
		for bytes < quantum {
			e := &m.entries[n]
			if e.chunk != nil && e.chunk != m.oldest {
				if m.oldest != nil {
					m.chunks--
				}
				m.oldest = e.chunk
			}
			bytes += e.size()
			n++
		}
		taken, m.entries = m.entries[:n:n], m.entries[n:]
	}
	m.bytes -= bytes
	m.scheduled = len(taken) > 0
	return taken, bytes
}

// give returns a slice from take, for reuse.
func (m *mailbox) give(taken []entry) {
	const largest = 1024 // larger ones are left to the garbage collector
	if cap(taken) > largest {
		return
	}
	clear(taken)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.spare == nil {
		m.spare = taken[:0]
	}
}
