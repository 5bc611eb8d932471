package redis

import "sync"

// scheduler gives lanes with messages to the workers, each lane in its turn: one that has more than a quantum goes
// to the back, so that a flood of one organization delays the others by one quantum.
type scheduler struct {
	mu     sync.Mutex
	wake   sync.Cond
	ready  []*lane // guarded by mu; ready[first:] wait, in order
	first  int     // guarded by mu
	closed bool    // guarded by mu
}

func newScheduler() *scheduler {
	s := &scheduler{}
	s.wake.L = &s.mu
	return s
}

// add appends a lane. It is not in the scheduler already.
func (s *scheduler) add(l *lane) {
	s.mu.Lock()
	if s.first > 0 && len(s.ready) == cap(s.ready) {
		n := copy(s.ready, s.ready[s.first:])
		clear(s.ready[n:])
		s.ready, s.first = s.ready[:n], 0
	}
	s.ready = append(s.ready, l)
	s.mu.Unlock()
	s.wake.Signal()
}

// next waits for a lane; nil when the scheduler is closed.
func (s *scheduler) next() *lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.first == len(s.ready) && !s.closed {
		s.wake.Wait()
	}
	if s.closed {
		return nil
	}
	l := s.ready[s.first]
	s.ready[s.first] = nil
	if s.first++; s.first == len(s.ready) {
		s.ready, s.first = s.ready[:0], 0
	}
	return l
}

// close ends the workers. What waits is left.
func (s *scheduler) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.wake.Broadcast()
}
