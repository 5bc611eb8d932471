package subscriptions

import (
	"sync/atomic"

	"github.com/rte-server/rte-server/internal/events"
)

// minIndex is the number of slots of an empty index.
const minIndex = 16

// grave marks a slot whose entry was removed: a search goes on behind it.
var grave = &Entry{}

// index is a hash table with open addressing that is read without a lock while one writer changes it. A slot goes
// from free to an entry to the grave and perhaps to another entry, never back to free; only a new index gets rid of
// graves.
type index struct {
	slots []slot // a power of two, at most half of them taken
}

// slot holds the hash beside the entry: a search that looked into the entries it passes missed the cache once for
// each of them, 0.5 us with a million topics.
type slot struct {
	hash  atomic.Uint64 // zero: free
	entry atomic.Pointer[Entry]
}

func newIndex(size int) *index { return &index{slots: make([]slot, size)} }

// find may be called by anyone. Hash and entry of a slot that changes meanwhile may not belong together, which the
// comparison of the topic finds out: only a topic that is being added or removed at this moment can be missed.
func (x *index) find(hash uint64, topic events.Topic) *Entry {
	mask := uint64(len(x.slots) - 1)
	for i := hash >> 1 & mask; ; i = (i + 1) & mask {
		switch x.slots[i].hash.Load() {
		case 0:
			return nil
		case hash:
			if e := x.slots[i].entry.Load(); e != grave && e.topic == topic {
				return e
			}
		}
	}
}

// insert is for the one writer. It says whether a free slot was taken.
func (x *index) insert(e *Entry) (fresh bool) {
	mask := uint64(len(x.slots) - 1)
	for i := e.hash >> 1 & mask; ; i = (i + 1) & mask {
		s := &x.slots[i]
		fresh = s.hash.Load() == 0
		if fresh || s.entry.Load() == grave {
			s.entry.Store(e)
			s.hash.Store(e.hash)
			return fresh
		}
	}
}

// remove is for the one writer; e must be in the index.
func (x *index) remove(e *Entry) {
	mask := uint64(len(x.slots) - 1)
	for i := e.hash >> 1 & mask; ; i = (i + 1) & mask {
		if x.slots[i].entry.Load() == e {
			x.slots[i].entry.Store(grave)
			return
		}
	}
}
