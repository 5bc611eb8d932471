package directory

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// cachedRecord is a record that a test has put.
type cachedRecord struct {
	record *Record
	until  time.Duration
}

// checkSize counts the cache again and compares it with its own size and limit.
func (t *recordCache) checkSize(tb testing.TB) {
	tb.Helper()
	size := 0
	for id, node := range t.byID {
		if node == nil {
			tb.Fatalf("%s has an empty list", id)
		}
		organizations := map[events.ID]bool{}
		for ; node != nil; node = node.next {
			if organizations[node.organization] {
				tb.Fatalf("%s is twice in the list of %s", node.organization, id)
			}
			organizations[node.organization] = true
			size += sizeOf(node.record)
		}
	}
	if size != t.size || size > t.limit {
		tb.Fatalf("the cache has %d bytes, counts %d and may have %d", size, t.size, t.limit)
	}
}

// TestRecordCache_agreesWithMap compares a cache with a map after each of many random steps. A cache with room holds
// everything; a small one holds what came last, and never a record that was replaced or removed.
func TestRecordCache_agreesWithMap(t *testing.T) {
	for name, limit := range map[string]int{"WithRoom": 1 << 20, "Small": 1500, "TooSmallForSome": 300} {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, uint64(limit)))
			id := func() events.ID { return events.ID{byte(random.IntN(12))} }
			c, all := newRecordCache(limit), map[recordKey]cachedRecord{}
			for step := range 3000 {
				now := time.Duration(step)
				switch random.IntN(10) {
				case 0:
					changed := id()
					c.remove(changed)
					for key := range all {
						if key.id == changed {
							delete(all, key)
						}
					}
				case 1:
					key := recordKey{events.ID{byte(random.IntN(4))}, id()}
					c.drop(key)
					delete(all, key)
				case 2:
					if random.IntN(20) == 0 {
						c.clear()
						clear(all)
					}
				default:
					key := recordKey{events.ID{byte(random.IntN(4))}, id()}
					put := cachedRecord{nil, now + time.Duration(random.IntN(100))}
					if random.IntN(3) > 0 {
						put.record = &Record{Kind: events.KindQueue, Members: make([]events.ID, random.IntN(10))}
					}
					c.put(key, put.record, put.until)
					all[key] = put
					if record, ok := c.get(key, put.until-1); sizeOf(put.record) <= limit && (!ok || record != put.record) {
						t.Fatalf("step %d: the record that came last is not there", step)
					}
				}
				c.checkSize(t)
				for key, want := range all {
					record, ok := c.get(key, now)
					if ok != (now < want.until) && limit == 1<<20 || ok && (record != want.record || now >= want.until) {
						t.Fatalf("step %d: got %v, %v; want %+v", step, record, ok, want)
					}
				}
				for changed, node := range c.byID {
					for ; node != nil; node = node.next {
						if want, ok := all[recordKey{node.organization, changed}]; !ok || want.record != node.record {
							t.Fatalf("step %d: a record that was removed or replaced is there", step)
						}
					}
				}
			}
			if len(c.byID) < 2 && limit > 1000 {
				t.Errorf("only %d entities are cached at the end", len(c.byID))
			}
		})
	}
}

func TestRecordCache_usesItsWholeLimit(t *testing.T) {
	for _, n := range []int{1, 2, 7} {
		c := newRecordCache(n * recordOverhead)
		for i := range 20 {
			c.put(recordKey{events.ID{}, events.ID{byte(i)}}, nil, time.Duration(i+1))
			if c.checkSize(t); len(c.byID) != min(i+1, n) {
				t.Errorf("%d of %d records are there", len(c.byID), n)
			}
			// Evicted is what ends first: with so few entities all of them are looked at.
			if _, ok := c.get(recordKey{events.ID{}, events.ID{byte(i - n)}}, 0); i >= n && ok {
				t.Errorf("the record that ends first is there, %d are", len(c.byID))
			}
		}
	}
}
