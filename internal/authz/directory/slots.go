package directory

import (
	"context"
	"slices"
	"sync"

	"github.com/rte-server/rte-server/internal/events"
)

// userParts divides the slots of a source: one user may occupy a half of them.
const userParts = 2

// slots bounds the readings in progress and shares them fairly. A free slot goes to the organizations that wait in
// turn, and within an organization to its users in turn, so that a user with many connections delays neither the
// colleagues nor other organizations. Its methods may be called from any goroutine.
type slots struct {
	userLimit int // static

	mu       sync.Mutex // guards the following fields
	free     int
	occupied map[slotOwner]int // slots above 0
	waiting  []*slotQueue      // of organizations that wait, the next one first
}

// slotOwner is a user of an organization.
type slotOwner struct{ organization, user events.ID }

// slotQueue holds the readings of an organization that wait.
type slotQueue struct {
	organization events.ID
	users        [][]*slotWaiter // of each user that waits, oldest first; the next user first
}

// slotWaiter is a reading that waits.
type slotWaiter struct {
	owner   slotOwner
	granted chan struct{} // closed when it has a slot
}

func newSlots(n int) *slots {
	return &slots{userLimit: max(n/userParts, 1), free: n, occupied: map[slotOwner]int{}}
}

// occupy waits for a slot until ctx ends. Vacate it, unless there was an error.
func (s *slots) occupy(ctx context.Context, owner slotOwner) error {
	w := s.enter(owner)
	select {
	case <-w.granted:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.removeLocked(w) {
		s.vacateLocked(owner) // it was granted meanwhile
	}
	return ctx.Err()
}

// enter adds a reading to those that wait, and grants free slots.
func (s *slots) enter(owner slotOwner) *slotWaiter {
	w := &slotWaiter{owner: owner, granted: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queueLocked(owner.organization)
	i := q.indexOf(owner)
	if i < 0 {
		i = len(q.users)
		q.users = append(q.users, nil)
	}
	q.users[i] = append(q.users[i], w)
	s.grantLocked()
	return w
}

// queueLocked returns the queue of an organization.
func (s *slots) queueLocked(organization events.ID) *slotQueue {
	for _, q := range s.waiting {
		if q.organization == organization {
			return q
		}
	}
	q := &slotQueue{organization: organization}
	s.waiting = append(s.waiting, q)
	return q
}

// indexOf returns the place of a user among those that wait, -1 if it does not.
func (q *slotQueue) indexOf(owner slotOwner) int {
	return slices.IndexFunc(q.users, func(list []*slotWaiter) bool { return list[0].owner == owner })
}

// vacate gives a slot back.
func (s *slots) vacate(owner slotOwner) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.vacateLocked(owner)
}

func (s *slots) vacateLocked(owner slotOwner) {
	s.free++
	if s.occupied[owner]--; s.occupied[owner] == 0 {
		delete(s.occupied, owner)
	}
	s.grantLocked()
}

// grantLocked gives free slots to readings that wait.
func (s *slots) grantLocked() {
	for s.free > 0 {
		w := s.nextLocked()
		if w == nil {
			return
		}
		s.free--
		s.occupied[w.owner]++
		close(w.granted)
	}
}

// nextLocked removes and returns the reading whose turn it is; nil if none waits, except of users at their limit.
func (s *slots) nextLocked() *slotWaiter {
	for i, q := range s.waiting {
		for n, list := range q.users {
			w := list[0]
			if s.occupied[w.owner] >= s.userLimit {
				continue
			}
			q.users = slices.Delete(q.users, n, n+1)
			if len(list) > 1 {
				q.users = append(q.users, list[1:])
			}
			s.waiting = slices.Delete(s.waiting, i, i+1)
			if len(q.users) > 0 {
				s.waiting = append(s.waiting, q)
			}
			return w
		}
	}
	return nil
}

// removeLocked removes a reading that waits. It returns false if it waits no longer.
func (s *slots) removeLocked(w *slotWaiter) bool {
	for i, q := range s.waiting {
		for n, list := range q.users {
			place := slices.Index(list, w)
			if place < 0 {
				continue
			}
			if q.users[n] = slices.Delete(list, place, place+1); len(q.users[n]) == 0 {
				q.users = slices.Delete(q.users, n, n+1)
			}
			if len(q.users) == 0 {
				s.waiting = slices.Delete(s.waiting, i, i+1)
			}
			return true
		}
	}
	return false
}
