package directory

import (
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// Approximate sizes in a recordCache, in bytes, and the size of the sample in evict.
const (
	recordOverhead = 192
	memberSize     = 16
	evictionSample = 8 // entities among which the one to evict is chosen
)

// recordCache is a bounded cache of records, by the organization that asked and the entity. Its owner locks it and
// defines the origin of the times: time.Since takes half as long as time.Now.
//
// It is not an LRU library: a lookup must not write, because all lookups share a read lock; the bound is in bytes; and
// remove drops an entity for all organizations. Evicting at random among a few needs no order of use.
type recordCache struct {
	limit int // bytes
	size  int // bytes
	byID  map[events.ID]*recordNode
}

// recordNode is one record. The records of one id, as several organizations see it, form a list.
type recordNode struct {
	organization events.ID
	record       *Record // nil: the entity does not exist
	until        time.Duration
	next         *recordNode
}

func newRecordCache(limit int) *recordCache {
	return &recordCache{limit: limit, byID: map[events.ID]*recordNode{}}
}

// get returns a record that has not expired. It does not write, so a read lock suffices.
func (t *recordCache) get(key recordKey, now time.Duration) (record *Record, ok bool) {
	for node := t.byID[key.id]; node != nil; node = node.next {
		if node.organization == key.organization {
			return node.record, now < node.until
		}
	}
	return nil, false
}

// put adds or replaces a record and evicts others to make room.
func (t *recordCache) put(key recordKey, record *Record, until time.Duration) {
	t.drop(key)
	size := sizeOf(record)
	if size > t.limit {
		return
	}
	for t.size+size > t.limit {
		t.evict()
	}
	t.byID[key.id] = &recordNode{key.organization, record, until, t.byID[key.id]}
	t.size += size
}

// remove drops the records of an entity for all organizations.
func (t *recordCache) remove(id events.ID) {
	for node := t.byID[id]; node != nil; node = node.next {
		t.size -= sizeOf(node.record)
	}
	delete(t.byID, id)
}

func (t *recordCache) clear() {
	t.size = 0
	clear(t.byID)
}

// drop removes one record.
func (t *recordCache) drop(key recordKey) {
	var before *recordNode
	for node := t.byID[key.id]; node != nil; before, node = node, node.next {
		if node.organization != key.organization {
			continue
		}
		t.size -= sizeOf(node.record)
		switch {
		case before != nil:
			before.next = node.next
		case node.next != nil:
			t.byID[key.id] = node.next
		default:
			delete(t.byID, key.id)
		}
		return
	}
}

// evict looks at a few entities (the order of a map is random) and removes the one whose newest record expires first.
func (t *recordCache) evict() {
	var victim events.ID
	var until time.Duration
	seen := 0
	for id, node := range t.byID {
		if seen == 0 || node.until < until {
			victim, until = id, node.until
		}
		if seen++; seen == evictionSample {
			break
		}
	}
	t.remove(victim)
}

func sizeOf(record *Record) int {
	if record == nil {
		return recordOverhead
	}
	return recordOverhead + memberSize*len(record.Members)
}
