package events

import (
	"strings"
	"sync"
	"time"
)

// maxExcerpt is how many bytes of a message are kept in quarantine.
const maxExcerpt = 1 << 10

// Quarantined is a message that was refused or differed from the catalog. It has a part of the payload in it and
// is for the operator's eyes, not for logs.
type Quarantined struct {
	Time time.Time `json:"time"`
	// Reason is that of a Reason or of a Problem.
	Reason string `json:"reason"`
	// Property is the property concerned; empty if it is the message as a whole.
	Property string `json:"property,omitempty"`
	// Bytes is the length of the message.
	Bytes int `json:"bytes"`
	// Excerpt is what the message begins with, at most 1 KiB, in valid UTF-8.
	Excerpt string `json:"excerpt"`
}

// quarantine is a ring of the newest messages that something was wrong with.
type quarantine struct {
	size int // static

	mu       sync.Mutex
	ring     []Quarantined // guarded by mu; of at most size
	next     int           // guarded by mu; where the next one goes once the ring is full
	replaced uint64        // guarded by mu; how many had to make room
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

// entries is a copy, the newest first.
func (q *quarantine) entries() []Quarantined {
	q.mu.Lock()
	defer q.mu.Unlock()
	newest := make([]Quarantined, len(q.ring))
	for i := range q.ring {
		newest[len(q.ring)-1-i] = q.ring[(q.next+i)%len(q.ring)]
	}
	return newest
}

// counts are how many there are, how many there can be, and how many had to make room.
func (q *quarantine) counts() (length, capacity int, replaced uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.ring), q.size, q.replaced
}
