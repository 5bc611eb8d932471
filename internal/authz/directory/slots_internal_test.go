package directory

import (
	"cmp"
	"context"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/rte-server/rte-server/internal/events"
)

// Readings come and are given up at random. Afterwards all slots are free and none waits.
func TestSlots_areGivenBack(t *testing.T) {
	const n = 3
	s := newSlots(n)
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			owner := slotOwner{events.ID{byte(i % 3)}, events.ID{byte(i % 5)}}
			for range 500 {
				ctx, cancel := context.WithCancel(t.Context())
				if rand.IntN(3) == 0 {
					cancel()
				}
				if s.occupy(ctx, owner) == nil {
					runtime.Gosched()
					s.vacate(owner)
				}
				cancel()
			}
		})
	}
	all.Wait()
	if s.free != n || len(s.occupied) != 0 || len(s.waiting) != 0 {
		t.Errorf("%d slots are free, %d users have some, %d organizations wait", s.free, len(s.occupied), len(s.waiting))
	}
}

// modelSlots grants slots by looking at all readings that wait.
type modelSlots struct {
	free, limit int
	waiting     []*slotWaiter // in the order in which they came
	occupied    map[slotOwner]int
	turn        int
	served      map[any]int // when the place of a user or organization in the line began
}

// began notes that a user or organization begins to wait.
func (m *modelSlots) began(who any) {
	m.turn++
	m.served[who] = m.turn
}

func (m *modelSlots) waits(of func(slotOwner) bool) bool {
	return slices.ContainsFunc(m.waiting, func(w *slotWaiter) bool { return of(w.owner) })
}

func (m *modelSlots) enter(w *slotWaiter) {
	if !m.waits(func(o slotOwner) bool { return o.organization == w.owner.organization }) {
		m.began(w.owner.organization)
	}
	if !m.waits(func(o slotOwner) bool { return o == w.owner }) {
		m.began(w.owner)
	}
	m.waiting = append(m.waiting, w)
}

// next removes the reading whose turn it is; nil: none may have a slot.
func (m *modelSlots) next() (first *slotWaiter) {
	if m.free == 0 {
		return nil
	}
	for _, w := range m.waiting {
		if m.occupied[w.owner] >= m.limit {
			continue
		}
		if first == nil || cmp.Or(
			cmp.Compare(m.served[w.owner.organization], m.served[first.owner.organization]),
			cmp.Compare(m.served[w.owner], m.served[first.owner]),
		) < 0 {
			first = w
		}
	}
	if first != nil {
		m.remove(first)
		m.began(first.owner.organization)
		m.began(first.owner)
		m.free--
		m.occupied[first.owner]++
	}
	return first
}

func (m *modelSlots) remove(w *slotWaiter) {
	m.waiting = slices.DeleteFunc(m.waiting, func(other *slotWaiter) bool { return other == w })
}

func granted(w *slotWaiter) bool {
	select {
	case <-w.granted:
		return true
	default:
		return false
	}
}

// TestSlots_agreeWithModel compares who gets a slot with a model after each of many random steps: the organization that
// got one longest ago, in it the user who got one longest ago, and of that user the reading that came first.
func TestSlots_agreeWithModel(t *testing.T) {
	for slotCount := range 6 {
		random := rand.New(rand.NewPCG(uint64(slotCount), 0))
		s := newSlots(slotCount + 1)
		m := &modelSlots{
			free: slotCount + 1, limit: max((slotCount+1)/2, 1), occupied: map[slotOwner]int{}, served: map[any]int{},
		}
		var holders []*slotWaiter
		for step := range 3000 {
			owner := slotOwner{events.ID{byte(random.IntN(3))}, events.ID{byte(random.IntN(4))}}
			switch kind := random.IntN(9); {
			case kind < 4:
				m.enter(s.enter(owner))
			case kind < 6 && len(m.waiting) > 0: // gives up
				w := m.waiting[random.IntN(len(m.waiting))]
				m.remove(w)
				s.mu.Lock()
				removed := s.removeLocked(w)
				s.mu.Unlock()
				if !removed {
					t.Fatalf("%d slots, step %d: a reading that waits is not there", slotCount+1, step)
				}
			default:
				if len(holders) == 0 {
					continue
				}
				n := random.IntN(len(holders))
				w := holders[n]
				holders = slices.Delete(holders, n, n+1)
				m.free++
				m.occupied[w.owner]--
				s.vacate(w.owner)
			}
			for w := m.next(); w != nil; w = m.next() {
				holders = append(holders, w)
				if !granted(w) {
					t.Fatalf("%d slots, step %d: %v has no slot", slotCount+1, step, w.owner)
				}
			}
			for _, w := range m.waiting {
				if granted(w) {
					t.Fatalf("%d slots, step %d: %v has a slot", slotCount+1, step, w.owner)
				}
			}
			if s.free != m.free {
				t.Fatalf("%d slots, step %d: %d are free, want %d", slotCount+1, step, s.free, m.free)
			}
		}
	}
}
