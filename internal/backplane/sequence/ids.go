package sequence

import (
	"encoding/binary"
	"hash/maphash"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

const (
	// ringFirst and ringLast are the least and the most Ids that a lane remembers. The ring grows when it would
	// forget an Id that is younger than ringSpan.
	ringFirst = 16
	ringLast  = 1 << 16
	ringSpan  = 30 * time.Second
)

// ids remembers the latest event Ids of a lane. The zero value remembers none and takes no room.
//
// Ids that are only noted, because nobody wants their events, go into the set when something is looked up: that takes a
// place in memory for each that is likely to be far away, and for most it never comes to that.
//
// It keeps 64 bits of each: two of the 65,536 that it has at most are mistaken for each other with a probability of
// one in eight billion. They are hashed with a seed of their own, so that nobody can choose Ids that collide.
type ids struct {
	seed    maphash.Seed
	ring    []stamped // a circle; len is a power of two
	next    int       // where the next Id goes, over the oldest
	noted   int       // how many of the latest are not in the set yet
	set     []uint64  // the other Ids, open addressing, twice as long as ring; 0: free
	forgot  bool      // an Id was forgotten
	forgotT time.Duration
}

// stamped is an Id and when it came.
type stamped struct {
	hash uint64        // 0: none yet; repeated: it was there already
	at   time.Duration // since base
}

// repeated is the hash of no Id.
const repeated = 1

// add remembers an Id; false if it was there already. at must not go back.
func (s *ids) add(id events.ID, at time.Duration) bool {
	s.init()
	s.settle()
	h := s.hash(id)
	if s.find(h) {
		return false
	}
	s.append(h, at)
	s.insert(h)
	s.noted = 0
	return true
}

// note remembers an Id that may be there already.
func (s *ids) note(id events.ID, at time.Duration) {
	s.init()
	s.append(s.hash(id), at)
}

// append puts an Id into the ring.
func (s *ids) append(h uint64, at time.Duration) {
	if oldest := &s.ring[s.next]; oldest.hash != 0 {
		if at-oldest.at < ringSpan && len(s.ring) < ringLast {
			s.grow()
		} else {
			s.forgot, s.forgotT = true, oldest.at
			if s.noted == len(s.ring) {
				s.noted--
			} else if oldest.hash != repeated {
				s.remove(oldest.hash)
			}
		}
	}
	s.ring[s.next] = stamped{hash: h, at: at}
	s.next = (s.next + 1) & (len(s.ring) - 1)
	s.noted++
}

// settle puts the Ids that were only noted into the set.
func (s *ids) settle() {
	if s.set == nil {
		s.set = make([]uint64, 2*len(s.ring))
	}
	for ; s.noted > 0; s.noted-- {
		e := &s.ring[(s.next-s.noted)&(len(s.ring)-1)]
		if s.find(e.hash) {
			e.hash = repeated
		} else {
			s.insert(e.hash)
		}
	}
}

// has says that an Id is remembered.
func (s *ids) has(id events.ID) bool {
	if s.ring == nil {
		return false
	}
	s.settle()
	return s.find(s.hash(id))
}

// since is the time after which no Id was forgotten; ok is false if none was.
func (s *ids) since() (at time.Duration, ok bool) { return s.forgotT, s.forgot }

// key is the Id by which an event is remembered: its own or, if it has none, one made of its text. Two events without
// Id and with the same text are not told apart by it.
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

func (s *ids) hash(id events.ID) uint64 { return max(repeated+1, maphash.Comparable(s.seed, id)) }

// grow doubles the ring and puts the oldest first.
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
		if e.hash != repeated {
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

// remove takes an entry out and moves those behind it that could no longer be found over the hole.
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
