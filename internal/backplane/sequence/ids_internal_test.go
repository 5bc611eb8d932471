package sequence

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// idsModel is a slow reference for ids: the Ids of a lane in the order of their arrival.
type idsModel struct {
	arrived  []stamp
	room     int
	forgot   bool
	forgotAt time.Duration
}

type stamp struct {
	number uint64
	at     time.Duration
}

func (m *idsModel) has(number uint64) bool {
	for _, s := range m.arrived {
		if s.number == number {
			return true
		}
	}
	return false
}

func (m *idsModel) arrive(number uint64, at time.Duration) {
	if len(m.arrived) == m.room {
		if oldest := m.arrived[0]; at-oldest.at < ringSpan && m.room < ringLast {
			m.room *= 2
		} else {
			m.forgot, m.forgotAt = true, oldest.at
			m.arrived = m.arrived[1:]
		}
	}
	m.arrived = append(m.arrived, stamp{number, at})
}

func idOf(number uint64) (id events.ID) {
	binary.BigEndian.PutUint64(id[:], number)
	return id
}

// check compares everything that ids holds with the model.
func (m *idsModel) check(t *testing.T, s *ids) {
	t.Helper()
	if at, ok := s.since(); ok != m.forgot || at != m.forgotAt {
		t.Fatalf("forgot %v, %v, want %v, %v", at, ok, m.forgotAt, m.forgot)
	}
	if len(s.ring) != m.room && s.ring != nil {
		t.Fatalf("has room for %d, want %d", len(s.ring), m.room)
	}
	if s.set == nil {
		return
	}
	inSet, extra := 0, 0
	for _, h := range s.set {
		if h != 0 {
			inSet++
		}
	}
	for _, n := range s.extra {
		extra += n
	}
	if inSet+extra+s.noted != len(m.arrived) {
		t.Fatalf("%d Ids, %d repetitions, %d noted, want %d together", inSet, extra, s.noted, len(m.arrived))
	}
}

// TestIDs_agreesWithAModel adds and notes Ids at random, with pauses in which all of them become old.
func TestIDs_agreesWithAModel(t *testing.T) {
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 1))
		var s ids
		m := idsModel{room: ringFirst}
		at := time.Duration(0)
		numbers := 10 + random.Uint64N(90) // few, so that many come again
		noting := random.IntN(11)
		for range 600 {
			switch random.IntN(40) {
			case 0:
				at += ringSpan
			case 1:
				at += ringSpan - time.Second
			default:
				at += time.Duration(random.IntN(1000)) * time.Millisecond
			}
			number := random.Uint64N(numbers)
			switch {
			case random.IntN(10) < noting:
				s.note(idOf(number), at)
			default:
				if isNew := s.add(idOf(number), at); isNew == m.has(number) {
					t.Fatalf("seed %d: %d is new: %v", seed, number, isNew)
				}
			}
			m.arrive(number, at)
			m.check(t, &s)
			if random.IntN(20) == 0 {
				for number := range numbers {
					if s.has(idOf(number)) != m.has(number) {
						t.Fatalf("seed %d: has %d is %v", seed, number, !m.has(number))
					}
				}
				m.check(t, &s)
			}
		}
	}
}

// TestIDs_isBounded lets more Ids arrive at once than a lane keeps.
func TestIDs_isBounded(t *testing.T) {
	var s ids
	for number := range uint64(ringLast + 100) {
		s.note(idOf(number), time.Duration(number))
	}
	if at, ok := s.since(); len(s.ring) != ringLast || !ok || at != 99 {
		t.Errorf("keeps %d, forgot %v, %v", len(s.ring), at, ok)
	}
	for number, want := range map[uint64]bool{0: false, 99: false, 100: true, ringLast + 99: true, ringLast + 100: false} {
		if s.has(idOf(number)) != want {
			t.Errorf("has %d is %v", number, !want)
		}
	}
}

// Two lanes must differ in their hashes: else a publisher could choose Ids that collide.
func TestIDs_hashesDiffer(t *testing.T) {
	var one, other ids
	one.init()
	other.init()
	if id := idOf(1); one.hash(id) == other.hash(id) {
		t.Error("two lanes have the same hash")
	}
}

func TestIDs_makesKeysOfTexts(t *testing.T) {
	var s ids
	key := func(id events.ID, text string) events.ID { return s.key(&events.Event{ID: id, Data: []byte(text)}) }
	if key(idOf(7), "a") != idOf(7) {
		t.Error("an Id is not its own key")
	}
	if a := key(events.ID{}, "a"); a != key(events.ID{}, "a") || a == key(events.ID{}, "b") || a == (events.ID{}) {
		t.Errorf("got the keys %v, %v and %v", a, key(events.ID{}, "a"), key(events.ID{}, "b"))
	}
	if got := s.key(&events.Event{}); got != (events.ID{}) {
		t.Errorf("no event has the key %v", got)
	}
}
