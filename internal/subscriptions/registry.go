package subscriptions

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/rte-server/rte-server/internal/events"
)

// stripes is the number of parts of a registry. Acquire and Release lock one of them. With 64 stripes, 10,000 clients
// that subscribe at once do not queue up, and a stripe that grows does not delay the others.
const stripes = 64

// Registry indexes the topics that have users on this node. Any goroutine may use it. Find takes no lock: it is called
// for every published event, and most events of an organization have no subscriber here.
type Registry[O any] struct {
	// seed keys the hash. Clients choose entity ids, and with a known hash they could make them collide.
	seed          maphash.Seed
	stripes       [stripes]stripe[O]
	organizations organizations[O]
}

// NewRegistry returns an empty registry. It calls start for each organization whose first topic is acquired and keeps
// the result until the last one is released; Entry.Organization returns a pointer to it. start must not use the
// registry.
func NewRegistry[O any](start func(organization events.ID) O) *Registry[O] {
	r := &Registry[O]{
		seed:          maphash.MakeSeed(),
		organizations: organizations[O]{start: start, byID: map[events.ID]*organization[O]{}},
	}
	for i := range r.stripes {
		r.stripes[i].index.Store(newIndex[O](minIndex))
	}
	return r
}

// Find returns the entry of a topic, nil if the topic has no user. It takes no lock and allocates nothing.
func (r *Registry[O]) Find(topic events.Topic) *Entry[O] {
	hash := r.hash(topic)
	return r.stripe(hash).index.Load().find(hash, topic)
}

// Acquire returns the entry of a topic, creating it if necessary, and counts one more user of it. Each Acquire needs
// one Release. Lock order: a stripe first, the organizations inside.
func (r *Registry[O]) Acquire(topic events.Topic) *Entry[O] {
	hash := r.hash(topic)
	s := r.stripe(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.index.Load().find(hash, topic)
	if e == nil {
		e = &Entry[O]{topic: topic, organization: r.organizations.acquire(topic.Organization), hash: hash}
		s.insertLocked(e)
	}
	e.refs++
	return e
}

// Release counts one user less. The last Release removes the entry from the registry.
func (r *Registry[O]) Release(e *Entry[O]) {
	s := r.stripe(e.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	e.refs--
	if e.refs == 0 {
		s.removeLocked(e)
		r.organizations.release(e.organization)
	}
}

// All calls yield with each entry until it returns false. It takes no lock: it may miss entries that come or go
// meanwhile.
func (r *Registry[O]) All(yield func(*Entry[O]) bool) {
	for i := range r.stripes {
		x := r.stripes[i].index.Load()
		for k := range x.slots {
			if e := x.slots[k].entry.Load(); e != nil && !yield(e) {
				return
			}
		}
	}
}

// Len returns the number of topics with users.
func (r *Registry[O]) Len() int {
	n := 0
	for i := range r.stripes {
		s := &r.stripes[i]
		s.mu.Lock()
		n += s.live
		s.mu.Unlock()
	}
	return n
}

// Organizations calls each with the organizations whose topics are in use, and what the registry keeps for them. It
// locks the organizations meanwhile: each must not use the registry.
func (r *Registry[O]) Organizations(each func(organization events.ID, kept *O)) {
	r.organizations.mu.Lock()
	defer r.organizations.mu.Unlock()
	for id, o := range r.organizations.byID {
		each(id, &o.value)
	}
}

// hash never returns zero, which marks a free slot.
func (r *Registry[O]) hash(topic events.Topic) uint64 { return maphash.Comparable(r.seed, topic) | 1 }

// stripe selects by the high bits of the hash; the index uses the low ones.
func (r *Registry[O]) stripe(hash uint64) *stripe[O] { return &r.stripes[hash>>58] }

// stripe is one part of the registry.
type stripe[O any] struct {
	// index is replaced as a whole when it grows or shrinks. Its slots change with mu held; reading takes no lock.
	index atomic.Pointer[index[O]]

	mu   sync.Mutex // guards the following fields, every change of index and its slots, and Entry.refs
	live int        // entries in index
	used int        // slots of index that are taken, or were

	_ [16]byte // 64 bytes in all: one stripe per cache line, so that neighbours do not slow each other down
}

// insertLocked adds an entry, with mu held.
func (s *stripe[O]) insertLocked(e *Entry[O]) {
	x := s.index.Load()
	if (s.used+1)*2 > len(x.slots) {
		x = s.rebuildLocked(x)
	}
	if x.insert(e) {
		s.used++
	}
	s.live++
}

// removeLocked removes an entry, with mu held.
func (s *stripe[O]) removeLocked(e *Entry[O]) {
	x := s.index.Load()
	x.remove(e)
	s.live--
	if len(x.slots) > minIndex && s.live*16 < len(x.slots) {
		s.rebuildLocked(x)
	}
}

// rebuildLocked replaces the index by one without tombstones that is at most a quarter full, with mu held.
func (s *stripe[O]) rebuildLocked(old *index[O]) *index[O] {
	size := minIndex
	for size < (s.live+1)*4 {
		size *= 2
	}
	x := newIndex[O](size)
	for i := range old.slots {
		if e := old.slots[i].entry.Load(); e != nil {
			x.insert(e)
		}
	}
	s.used = s.live
	s.index.Store(x)
	return x
}
