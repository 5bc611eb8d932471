package hub

import (
	"iter"
	"maps"
	"slices"
	"sync"
)

// Sessions is the set of open sessions of a Hub. Its methods may be called from any goroutine.
type Sessions struct {
	mu   sync.Mutex // guards the following fields
	open map[*Session]struct{}
	shut bool // no session is added any more
}

// Len returns the number of open sessions.
func (s *Sessions) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// All iterates, in no order, over the sessions that were open when the iteration began.
func (s *Sessions) All() iter.Seq[*Session] {
	return func(yield func(*Session) bool) {
		for _, session := range s.list() {
			if !yield(session) {
				return
			}
		}
	}
}

func (s *Sessions) list() []*Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.AppendSeq(make([]*Session, 0, len(s.open)), maps.Keys(s.open))
}

// add adds a session. It reports false after close.
func (s *Sessions) add(session *Session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut {
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

// close refuses further sessions and returns the open ones.
func (s *Sessions) close() []*Session {
	s.mu.Lock()
	s.shut = true
	s.mu.Unlock()
	return s.list()
}
