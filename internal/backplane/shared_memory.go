package backplane

import (
	"sync"
	"sync/atomic"

	"github.com/rte-server/rte-server/internal/events"
)

// reserveParts is the part of a SharedMemory that organizations may use only up to their fair part: an eighth.
const reserveParts = 8

// SharedMemory divides a number of bytes among organizations.
//
// The fair part of an organization is the memory divided by the number of organizations that use it, plus one. Any
// organization may use free memory, except for an eighth that is reserved for those below their fair part. Once the
// reserve is in use, organizations above their fair part must give memory back. A newcomer therefore finds room at
// once, and an organization that fills the memory shrinks to its fair part as the others need theirs. A fixed part
// would leave most of the memory unused on a node with one large organization.
//
// Any goroutine may use it. Only Join and Leave take a lock.
type SharedMemory struct {
	// Bytes is the bound. 0 or less: nothing may be kept. It must not change while memory is in use.
	Bytes int64

	used          atomic.Int64
	organizations atomic.Int64 // length of parts

	mu    sync.Mutex                // guards the following field and MemoryPart.users
	parts map[events.ID]*MemoryPart // of organizations that use it
}

// MemoryPart is the memory of one organization.
type MemoryPart struct {
	organization events.ID
	users        int // guarded by SharedMemory.mu
	used         atomic.Int64
}

// Used returns the bytes in use.
func (m *SharedMemory) Used() int64 { return m.used.Load() }

// Fair returns the fair part of an organization.
func (m *SharedMemory) Fair() int64 { return max(0, m.Bytes) / (m.organizations.Load() + 1) }

// Join returns the part of an organization for one more user, such as a lane. Each Join needs one Leave.
func (m *SharedMemory) Join(organization events.ID) *MemoryPart {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.parts == nil {
		m.parts = map[events.ID]*MemoryPart{}
	}
	p := m.parts[organization]
	if p == nil {
		p = &MemoryPart{organization: organization}
		m.parts[organization] = p
		m.organizations.Add(1)
	}
	p.users++
	return p
}

// Leave ends Join. The user must have given back all its memory.
func (m *SharedMemory) Leave(p *MemoryPart) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p.users--; p.users == 0 {
		delete(m.parts, p.organization)
		m.organizations.Add(-1)
	}
}

// Take takes bytes for an organization. It takes none and returns false if there is no room.
func (m *SharedMemory) Take(p *MemoryPart, size int64) bool {
	if m.allows(m.used.Add(size), p.used.Add(size)) {
		return true
	}
	m.Give(p, size)
	return false
}

// Room reports whether Take would succeed now.
func (m *SharedMemory) Room(p *MemoryPart, size int64) bool {
	return m.allows(m.used.Load()+size, p.used.Load()+size)
}

// allows reports whether an organization may use part of all used bytes.
func (m *SharedMemory) allows(used, part int64) bool {
	return used <= m.unreserved() || used <= m.Bytes && part <= m.Fair()
}

// Give gives bytes back.
func (m *SharedMemory) Give(p *MemoryPart, size int64) {
	m.used.Add(-size)
	p.used.Add(-size)
}

// Exceeds reports whether an organization must give memory back.
func (m *SharedMemory) Exceeds(p *MemoryPart) bool {
	return m.used.Load() > m.unreserved() && p.used.Load() > m.Fair()
}

// unreserved returns the memory that any organization may use.
func (m *SharedMemory) unreserved() int64 { return m.Bytes - m.Bytes/reserveParts }
