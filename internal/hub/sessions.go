package hub

import (
	"iter"
	"maps"
	"slices"
	"sync"
)

// Sessions are the open sessions of a Hub. Its methods may be called from any goroutine.
type Sessions struct {
	mu   sync.Mutex // guards the following fields
	open map[*Session]struct{}
	full bool // no session is added any more
}

// Len is the number of open sessions.
func (s *Sessions) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// All are the sessions that were open when the iteration began, in no order.
func (s *Sessions) All() iter.Seq[*Session] {
	return func(yield func(*Session) bool) {
		for _, session := range s.snapshot() {
			if !yield(session) {
				return
			}
		}
	}
}

func (s *Sessions) snapshot() []*Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.AppendSeq(make([]*Session, 0, len(s.open)), maps.Keys(s.open))
}

// add adds a session; false after shut.
func (s *Sessions) add(session *Session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full {
		return false
	}
	s.open[session] = struct{}{}
	return true
}

func (s *Sessions) remove(session *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, session)
}

// shut refuses further sessions and returns those that are open.
func (s *Sessions) shut() []*Session {
	s.mu.Lock()
	s.full = true
	s.mu.Unlock()
	return s.snapshot()
}
