package subscriptions

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/rte-server/rte-server/internal/events"
)

// stripes is how many parts the registry has. Acquire and Release lock one of them; 64 keep 10,000 clients that
// subscribe at once from queueing up, and a growing part from holding up the others.
const stripes = 64

// Registry is the index of all topics that somebody on this node listens to. It may be used from any goroutine.
// Find takes no lock, because every published event asks, and most events of an organization have no listener here.
type Registry struct {
	// seed keys the hash: entity ids come from clients, who could otherwise choose them to collide.
	seed    maphash.Seed
	stripes [stripes]stripe
	owners  owners
}

// NewRegistry makes an empty registry.
func NewRegistry() *Registry {
	r := &Registry{seed: maphash.MakeSeed(), owners: owners{byID: map[events.ID]*Owner{}}}
	for i := range r.stripes {
		r.stripes[i].index.Store(newIndex(minIndex))
	}
	return r
}

// Find is the entry of a topic, nil if nobody listens to it. It takes no lock and allocates nothing.
func (r *Registry) Find(topic events.Topic) *Entry {
	hash := r.hash(topic)
	return r.stripe(hash).index.Load().find(hash, topic)
}

// Acquire finds or makes the entry of a topic and counts one user more. Each Acquire needs one Release. The lock of the
// owners is taken inside that of a stripe, never the other way round.
func (r *Registry) Acquire(topic events.Topic) *Entry {
	hash := r.hash(topic)
	s := r.stripe(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.index.Load().find(hash, topic)
	if e == nil {
		e = &Entry{topic: topic, owner: r.owners.acquire(topic.Organization), hash: hash}
		s.insertLocked(e)
	}
	e.refs++
	return e
}

// Release gives an entry back. With the last one it leaves the registry.
func (r *Registry) Release(e *Entry) {
	s := r.stripe(e.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	e.refs--
	if e.refs == 0 {
		s.removeLocked(e)
		r.owners.release(e.owner)
	}
}

// Len is the number of topics.
func (r *Registry) Len() int {
	n := 0
	for i := range r.stripes {
		s := &r.stripes[i]
		s.mu.Lock()
		n += s.live
		s.mu.Unlock()
	}
	return n
}

// hash is never zero, which stands for a free slot.
func (r *Registry) hash(topic events.Topic) uint64 { return maphash.Comparable(r.seed, topic) | 1 }

// stripe picks by the high bits; the index uses the low ones.
func (r *Registry) stripe(hash uint64) *stripe { return &r.stripes[hash>>58] }

// stripe is one part of the registry.
type stripe struct {
	// index is replaced as a whole when it grows or shrinks; its slots are changed under mu and read by anyone.
	index atomic.Pointer[index]

	mu   sync.Mutex // guards the following fields, every change of index and its slots, and Entry.refs
	live int        // entries in index
	used int        // slots of index that are or were taken

	_ [16]byte // 64 bytes in all: one stripe per cache line, so that neighbours do not slow each other
}

// insertLocked needs mu.
func (s *stripe) insertLocked(e *Entry) {
	x := s.index.Load()
	if (s.used+1)*2 > len(x.slots) {
		x = s.rebuildLocked(x)
	}
	if x.insert(e) {
		s.used++
	}
	s.live++
}

// removeLocked needs mu.
func (s *stripe) removeLocked(e *Entry) {
	x := s.index.Load()
	x.remove(e)
	s.live--
	if len(x.slots) > minIndex && s.live*16 < len(x.slots) {
		s.rebuildLocked(x)
	}
}

// rebuildLocked replaces the index by one without graves that is at most a quarter full. It needs mu.
func (s *stripe) rebuildLocked(old *index) *index {
	size := minIndex
	for size < (s.live+1)*4 {
		size *= 2
	}
	x := newIndex(size)
	for i := range old.slots {
		if e := old.slots[i].entry.Load(); e != nil && e != grave {
			x.insert(e)
		}
	}
	s.used = s.live
	s.index.Store(x)
	return x
}
