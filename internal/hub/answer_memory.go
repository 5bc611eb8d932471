package hub

import (
	"context"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
)

const (
	// smallAnswer is the size up to which answers are not reserved. Each connection has one of them at most.
	smallAnswer = 16 << 10
	// userParts and organizationParts divide Limits.AnswerBytes: one user may take an eighth, one organization a quarter.
	userParts         = 8
	organizationParts = 4
)

// answerMemory bounds the memory of large answers, from before they are built until sockets have taken them: for each
// user, for each organization, and for all sessions together. A call that needs more waits, and with it the client that
// made it; other users do not wait for it.
type answerMemory struct {
	mu            sync.Mutex // guards the following fields and those of all bounds and reservations
	all           memoryBound
	organizations map[events.ID]*memoryBound    // those in use
	users         map[fanout.Owner]*memoryBound // those in use
}

// memoryBound is a bound with the reservations that wait at it.
type memoryBound struct {
	limit int // static
	used  int
	queue []*reservation // the longest waiting one first
}

// The bounds that a reservation passes, in this order. It holds those that it has passed.
const (
	boundOfUser = iota
	boundOfOrganization
	boundOfAll
	numBounds
)

// reservation is memory for one answer; nil: none.
type reservation struct {
	memory  *answerMemory
	owner   fanout.Owner
	bytes   int
	bounds  [numBounds]*memoryBound
	passed  int           // bounds
	granted chan struct{} // closed when all are passed
}

func newAnswerMemory(limit int) *answerMemory {
	return &answerMemory{
		all: memoryBound{limit: limit}, organizations: map[events.ID]*memoryBound{}, users: map[fanout.Owner]*memoryBound{},
	}
}

// reserve reserves memory for an answer of about this size and waits for it until ctx ends. It returns nil for a small
// answer. waited counts the calls that had to wait. Release the reservation once, unless there was an error.
func (m *answerMemory) reserve(
	ctx context.Context, o fanout.Owner, bytes int, waited prometheus.Counter,
) (*reservation, error) {
	if bytes <= smallAnswer {
		return nil, nil //nolint:nilnil // nothing is reserved
	}
	r := m.enter(o, bytes)
	select {
	case <-r.granted:
		return r, nil
	default:
		waited.Inc()
	}
	select {
	case <-r.granted:
		return r, nil
	case <-ctx.Done():
		r.release()
		return nil, ctx.Err()
	}
}

// enter begins a reservation, which may have to wait.
func (m *answerMemory) enter(o fanout.Owner, bytes int) *reservation {
	r := &reservation{memory: m, owner: o, bytes: bytes, granted: make(chan struct{})}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.users[o] == nil {
		m.users[o] = &memoryBound{limit: m.all.limit / userParts}
	}
	if m.organizations[o.Organization] == nil {
		m.organizations[o.Organization] = &memoryBound{limit: m.all.limit / organizationParts}
	}
	r.bounds = [numBounds]*memoryBound{m.users[o], m.organizations[o.Organization], &m.all}
	r.advance()
	return r
}

// release ends a reservation, also one that still waits. It does not wait.
func (r *reservation) release() {
	if r == nil {
		return
	}
	m := r.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.passed < numBounds {
		waitsAt := r.bounds[r.passed]
		waitsAt.queue = slices.DeleteFunc(waitsAt.queue, func(other *reservation) bool { return other == r })
		waitsAt.admit()
	}
	for r.passed > 0 {
		r.passed--
		r.bounds[r.passed].used -= r.bytes
		r.bounds[r.passed].admit()
	}
	if r.bounds[boundOfUser].idle() {
		delete(m.users, r.owner)
	}
	if r.bounds[boundOfOrganization].idle() {
		delete(m.organizations, r.owner.Organization)
	}
}

// advance passes bounds until the reservation has to wait or is granted. It needs mu.
func (r *reservation) advance() {
	for r.passed < numBounds {
		b := r.bounds[r.passed]
		if len(b.queue) > 0 || !b.fits(r) {
			b.queue = append(b.queue, r)
			return
		}
		b.used += r.bytes
		r.passed++
	}
	close(r.granted)
}

// fits reports whether a reservation may pass: the largest answer passes alone.
func (b *memoryBound) fits(r *reservation) bool { return b.used == 0 || b.used+r.bytes <= b.limit }

func (b *memoryBound) idle() bool { return b.used == 0 && len(b.queue) == 0 }

// admit lets the reservations that wait at a bound advance, as long as they fit. It needs mu.
func (b *memoryBound) admit() {
	for len(b.queue) > 0 && b.fits(b.queue[0]) {
		r := b.queue[0]
		b.queue[0] = nil
		b.queue = b.queue[1:]
		b.used += r.bytes
		r.passed++
		r.advance()
	}
}

// used returns the bytes of the reservations that are granted.
func (m *answerMemory) used() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.all.used
}
