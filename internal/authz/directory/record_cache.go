package directory

import (
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// Sizes of what a recordCache holds, about, in bytes.
const (
	recordOverhead = 192
	memberSize     = 16
	evictionSample = 8 // entities among which the one to evict is chosen
)

// recordCache is a bounded set of records, each until a time, by who asked and for what. Whoever owns it locks it, and
// says since when times are counted: a monotonic clock is read in half the time of time.Now.
type recordCache struct {
	limit int // bytes
	size  int // bytes
	byID  map[events.ID]*recordNode
}

// recordNode is one record; those of one id, as several organizations see it, are a list.
type recordNode struct {
	organization events.ID
	record       *Record // nil: there is none
	until        time.Duration
	next         *recordNode
}

func newRecordCache(limit int) *recordCache {
	return &recordCache{limit: limit, byID: map[events.ID]*recordNode{}}
}

// get finds a record whose time is not over. It only reads.
func (t *recordCache) get(key recordKey, now time.Duration) (record *Record, ok bool) {
	for node := t.byID[key.id]; node != nil; node = node.next {
		if node.organization == key.organization {
			return node.record, now < node.until
		}
	}
	return nil, false
}

// put adds a record or replaces it, and makes room for it.
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

// remove drops the records of an entity, whoever asked.
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

// drop takes out one record.
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

// evict gives up the entity of a few, taken at random by the order of the map, whose newest record expires first.
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
