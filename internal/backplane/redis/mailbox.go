package redis

import (
	"bytes"
	"sync"
	"time"

	"github.com/rte-server/rte-server/internal/backplane/resp"
	"github.com/rte-server/rte-server/internal/backplane/sequence"
)

// mailbox holds what goes to a lane from the reader and the repairers until a worker takes it. Its scheduled flag
// gives the lane to one worker at a time, which keeps its events in order.
type mailbox struct {
	mu        sync.Mutex
	entries   []entry     // guarded by mu
	spare     []entry     // guarded by mu; an empty slice to reuse
	bytes     int         // guarded by mu; of items
	latest    *resp.Chunk // guarded by mu; of the message that was appended last; nil: none since items was empty
	oldest    *resp.Chunk // guarded by mu; of the one that was taken last; nil: none since then
	chunks    int         // guarded by mu; how many chunks items lie in, about
	scheduled bool        // guarded by mu; the lane is in the scheduler or with a worker
}

// item is a message that arrived on a lane, or a notice.
type entry struct {
	payload []byte
	chunk   *resp.Chunk   // has the payload; nil: there is none
	era     *sequence.Era // the latest when the message was read
	action  action        // nil: it is a message
}

// notice is what a lane must know between two messages.
type action interface {
	run(w *worker, l *lane, now time.Time)
}

// itemCost is what an item counts for beside its payload: one without payload takes room, too.
const entryCost = 64

func (i *entry) size() int { return len(i.payload) + entryCost }

// A message holds on to the chunk that it lies in, with all that others had in there. A lane that falls behind may hold on
// to some chunks, and to others that are not much more than what its messages take; then messages are copied.
const (
	chunksHeld = 4
	chunkRatio = 4
)

// quantum is how many bytes of a lane's messages a worker handles before it goes on to the next lane.
const quantum = 64 << 10

// put appends an item. If limit is not 0 and the mailbox would then hold more bytes, it does not and answers false.
// schedule says that the lane must be given to the scheduler.
func (m *mailbox) put(it entry, limit int) (ok, schedule bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if limit > 0 && m.bytes+it.size() > limit {
		return false, false
	}
	if it.chunk != nil && it.chunk != m.latest {
		if m.chunks >= chunksHeld+chunkRatio*m.bytes/resp.ChunkSize {
			it.payload = bytes.Clone(it.payload)
			it.chunk.Release(1)
			it.chunk = nil
		} else {
			m.latest = it.chunk
			m.chunks++
		}
	}
	return true, m.appendLocked(it)
}

// emptyLocked is called when there are no messages any more.
func (m *mailbox) emptyLocked() { m.latest, m.oldest, m.chunks = nil, nil, 0 }

func (m *mailbox) appendLocked(it entry) (schedule bool) {
	m.entries = append(m.entries, it)
	m.bytes += it.size()
	schedule = !m.scheduled
	m.scheduled = true
	return schedule
}

// overflow appends that messages were given up, unless the last item says so already: then it is added to that, and merged
// is true. A lane that falls behind for long has one such notice, not one for each message.
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

// shed takes all messages out and leaves the notices. first is the first message; nil if there was none. plain is how
// many of the messages had no position.
func (m *mailbox) shed() (first *entry, bytes, plain int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var kept []entry
	for i := range m.entries {
		it := &m.entries[i]
		if it.action != nil {
			kept = append(kept, *it)
			continue
		}
		if first == nil {
			first = it
		}
		if len(it.payload) == 0 || it.payload[0] != '#' {
			plain++
		}
		bytes += it.size()
	}
	m.entries = kept
	m.bytes -= bytes
	m.emptyLocked()
	return first, bytes, plain
}

// take returns the first items, about a quantum, and their bytes. If there are none the lane is no longer scheduled.
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
			it := &m.entries[n]
			if it.chunk != nil && it.chunk != m.oldest {
				if m.oldest != nil {
					m.chunks--
				}
				m.oldest = it.chunk
			}
			bytes += it.size()
			n++
		}
		taken, m.entries = m.entries[:n:n], m.entries[n:]
	}
	m.bytes -= bytes
	m.scheduled = len(taken) > 0
	return taken, bytes
}

// give returns the slice that take handed out, for reuse.
func (m *mailbox) give(taken []entry) {
	const largest = 1024 // more is left to the collector
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
