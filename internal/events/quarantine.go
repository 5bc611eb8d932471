package events

import (
	"strings"
	"sync"
	"time"
)

// maxExcerpt is the number of bytes of a message that the quarantine keeps.
const maxExcerpt = 1 << 10

// Quarantined is a message that was refused or differed from the catalog. It contains a part of the payload, so show it
// to the operator only and never log it.
type Quarantined struct {
	Time time.Time `json:"time"`
	// Reason is the name of a Reason or of a Problem.
	Reason string `json:"reason"`
	// Property is the name of the property; empty if the message as a whole is wrong.
	Property string `json:"property,omitempty"`
	// Bytes is the length of the message.
	Bytes int `json:"bytes"`
	// Excerpt is the beginning of the message, at most 1 KiB, in valid UTF-8.
	Excerpt string `json:"excerpt"`
}

// quarantine is a ring of the newest messages that were refused or differed from the catalog.
type quarantine struct {
	size int // static

	mu       sync.Mutex
	ring     []Quarantined // guarded by mu; at most size messages
	next     int           // guarded by mu; index of the oldest message when the ring is full
	replaced uint64        // guarded by mu; number of messages that newer ones replaced
}

func newQuarantine(size int) *quarantine {
	return &quarantine{size: size, ring: make([]Quarantined, 0, size)}
}

func (q *quarantine) add(data []byte, reason, property string) {
	if q.size == 0 {
		return
	}
	entry := Quarantined{
		Time: time.Now(), Reason: reason, Property: property, Bytes: len(data),
		Excerpt: strings.ToValidUTF8(string(data[:min(len(data), maxExcerpt)]), "\ufffd"),
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.ring) < q.size {
		q.ring = append(q.ring, entry)
		return
	}
	q.ring[q.next] = entry
	q.next = (q.next + 1) % len(q.ring)
	q.replaced++
}

// entries returns a copy of the messages, the newest first.
func (q *quarantine) entries() []Quarantined {
	q.mu.Lock()
	defer q.mu.Unlock()
	newest := make([]Quarantined, len(q.ring))
	for i := range q.ring {
		newest[len(q.ring)-1-i] = q.ring[(q.next+i)%len(q.ring)]
	}
	return newest
}

// counts returns how many messages are kept, how many fit, and how many were replaced.
func (q *quarantine) counts() (length, capacity int, replaced uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.ring), q.size, q.replaced
}
