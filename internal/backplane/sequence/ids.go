package sequence

import (
	"encoding/binary"
	"hash/maphash"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

const (
	// ringFirst and ringLast are the least and the most Ids of a lane. The ring grows instead of removing an Id that is
	// younger than ringSpan.
	ringFirst = 16
	ringLast  = 1 << 16
	ringSpan  = 30 * time.Second
)

// ids holds the latest event Ids of a lane. The zero value holds none and takes no memory.
//
// The Ids of unwanted events are only noted in the ring. They enter the set when the first look-up needs it: an
// insertion mostly misses the cache, and most lanes never look up anything.
//
// ids keeps 64 bits of each Id. Two of the 65,536 Ids at most collide with a probability of one in eight billion. The
// hash has a seed of its own, so that publishers cannot choose Ids that collide.
type ids struct {
	seed  maphash.Seed
	ring  []stamped // circular; len is a power of two
	next  int       // place of the next Id, which replaces the oldest
	noted int       // number of latest Ids that are not in the set yet
	set   []uint64  // the other Ids; open addressing, twice as long as ring; 0: free
	// extra counts the further places of Ids of the set that the ring has more than once.
	extra    map[uint64]int
	forgot   bool // an Id was removed, the last one at forgotAt
	forgotAt time.Duration
}

// stamped is an Id and the time of its arrival.
type stamped struct {
	hash uint64        // 0: none yet
	at   time.Duration // since Lane.base
}

// add adds an Id and returns false if it is known already. Then it counts as one that arrived at this time. at must not
// go back.
func (s *ids) add(id events.ID, at time.Duration) bool {
	s.init()
	s.index()
	h := s.hash(id)
	known := s.find(h)
	if known {
		s.repeat(h)
	}
	s.append(h, at)
	if !known {
		s.insert(h)
	}
	s.noted = 0
	return !known
}

// repeat counts a further place of an Id of the set.
func (s *ids) repeat(h uint64) {
	if s.extra == nil {
		s.extra = map[uint64]int{}
	}
	s.extra[h]++
}

// forget removes an Id of the set from one of its places, and from the set if that was the last one.
func (s *ids) forget(h uint64) {
	switch n := s.extra[h]; n {
	case 0:
		s.remove(h)
	case 1:
		delete(s.extra, h)
	default:
		s.extra[h] = n - 1
	}
}

// note adds an Id that may be known already, without looking it up.
func (s *ids) note(id events.ID, at time.Duration) {
	s.init()
	s.append(s.hash(id), at)
}

// append appends an Id to the ring.
func (s *ids) append(h uint64, at time.Duration) {
	if oldest := &s.ring[s.next]; oldest.hash != 0 {
		if at-oldest.at < ringSpan && len(s.ring) < ringLast {
			s.grow()
		} else {
			s.forgot, s.forgotAt = true, oldest.at
			if s.noted == len(s.ring) {
				s.noted--
			} else {
				s.forget(oldest.hash)
			}
		}
	}
	s.ring[s.next] = stamped{hash: h, at: at}
	s.next = (s.next + 1) & (len(s.ring) - 1)
	s.noted++
}

// index inserts the noted Ids into the set.
func (s *ids) index() {
	if s.set == nil {
		s.set = make([]uint64, 2*len(s.ring))
	}
	for ; s.noted > 0; s.noted-- {
		h := s.ring[(s.next-s.noted)&(len(s.ring)-1)].hash
		if s.find(h) {
			s.repeat(h)
		} else {
			s.insert(h)
		}
	}
}

// has reports whether an Id is known.
func (s *ids) has(id events.ID) bool {
	if s.ring == nil {
		return false
	}
	s.index()
	return s.find(s.hash(id))
}

// since returns the time of the last Id that was removed. ok is false if none was.
func (s *ids) since() (at time.Duration, ok bool) { return s.forgotAt, s.forgot }

// key returns the Id that identifies an event: its own, or one made from its text if it has none. Two events without
// Id and with the same text have the same key.
func (s *ids) key(ev *events.Event) events.ID {
	if ev.ID != (events.ID{}) || ev.Data == nil {
		return ev.ID
	}
	s.init()
	var id events.ID
	binary.BigEndian.PutUint64(id[:], maphash.Bytes(s.seed, ev.Data))
	return id
}

func (s *ids) init() {
	if s.ring == nil {
		s.seed = maphash.MakeSeed()
		s.ring = make([]stamped, ringFirst)
	}
}

func (s *ids) hash(id events.ID) uint64 { return max(1, maphash.Comparable(s.seed, id)) }

// grow doubles the ring and moves the oldest Id to the front.
func (s *ids) grow() {
	ring := make([]stamped, 2*len(s.ring))
	n := copy(ring, s.ring[s.next:])
	copy(ring[n:], s.ring[:s.next])
	s.next = len(s.ring)
	s.ring = ring
	if s.set == nil {
		return
	}
	s.set = make([]uint64, 2*len(ring))
	for _, e := range ring[:s.next-s.noted] {
		if len(s.extra) == 0 || !s.find(e.hash) {
			s.insert(e.hash)
		}
	}
}

func (s *ids) slot(h uint64) int { return int(h & uint64(len(s.set)-1)) } //nolint:gosec // masked

func (s *ids) find(h uint64) bool {
	for i := s.slot(h); s.set[i] != 0; i = (i + 1) & (len(s.set) - 1) {
		if s.set[i] == h {
			return true
		}
	}
	return false
}

func (s *ids) insert(h uint64) {
	i := s.slot(h)
	for s.set[i] != 0 {
		i = (i + 1) & (len(s.set) - 1)
	}
	s.set[i] = h
}

// remove removes an entry and moves the entries behind it that the hole would hide.
func (s *ids) remove(h uint64) {
	mask := len(s.set) - 1
	i := s.slot(h)
	for s.set[i] != h {
		i = (i + 1) & mask
	}
	for j := (i + 1) & mask; s.set[j] != 0; j = (j + 1) & mask {
		// An entry may move to the hole unless its own slot lies behind the hole.
		if home := s.slot(s.set[j]); (j-home)&mask >= (j-i)&mask {
			s.set[i] = s.set[j]
			i = j
		}
	}
	s.set[i] = 0
}
