package redis

import (
	"sync"
	"time"
)

const (
	// stallTime is how long a worker may need for its turn before another takes its place: the sink waits when it has
	// too much of one organization, and must not hold up the others. A turn takes about 0.1 ms.
	stallTime = 2 * time.Millisecond
	// stallTick is how often that is looked at while lanes wait.
	stallTick = time.Millisecond
	// stallWorkers is how many workers may be kept waiting and have another in their place. If more are, all wait.
	stallWorkers = 64
)

// scheduler gives lanes with messages to the workers, each lane in its turn: one that has more than a quantum goes
// to the back, so that a flood of one organization delays the others by one quantum. If the sink keeps a worker
// waiting, another takes its place, and the other lanes of that organization wait until it is back.
type scheduler struct {
	workers int           // how many work at once
	start   func()        // has one more work
	closed  chan struct{} // closed by close
	behind  chan struct{} // has room for one; filled when lanes wait and no worker does

	mu       sync.Mutex
	wake     sync.Cond
	ready    []*lane              // guarded by mu; ready[first:] wait, in order
	first    int                  // guarded by mu
	turns    map[*worker]struct{} // guarded by mu; the workers that have a lane
	active   int                  // guarded by mu; workers that are not kept waiting
	idle     int                  // guarded by mu; those of them that have no lane
	aside    int                  // guarded by mu; workers that are kept waiting
	watching bool                 // guarded by mu; behind was filled, and relieve looks at the turns
}

// turn is a worker's part in the scheduler.
type turn struct {
	lane  *lane     // guarded by scheduler.mu; nil: none
	since time.Time // guarded by scheduler.mu
	aside bool      // guarded by scheduler.mu; it is kept waiting, and another has taken its place
}

func newScheduler(workers int, start func()) *scheduler {
	s := &scheduler{
		workers: workers,
		start:   start,
		closed:  make(chan struct{}),
		behind:  make(chan struct{}, 1),
		turns:   map[*worker]struct{}{},
	}
	s.wake.L = &s.mu
	return s
}

// add appends a lane. It is not in the scheduler already.
func (s *scheduler) add(l *lane) {
	s.mu.Lock()
	s.addLocked(l)
	s.mu.Unlock()
}

func (s *scheduler) addLocked(l *lane) {
	if s.first > 0 && len(s.ready) == cap(s.ready) {
		n := copy(s.ready, s.ready[s.first:])
		clear(s.ready[n:])
		s.ready, s.first = s.ready[:n], 0
	}
	s.ready = append(s.ready, l)
	s.wake.Signal()
	s.watchLocked()
}

// watchLocked has relieve look at the turns if lanes wait and no worker does.
func (s *scheduler) watchLocked() {
	if s.idle == 0 && !s.watching && s.first < len(s.ready) {
		s.watching = true
		s.behind <- struct{}{}
	}
}

// next ends the worker's turn, and waits for a lane; nil when the worker is not needed any more.
func (s *scheduler) next(w *worker) (*lane, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.backLocked(w) {
		return nil, time.Time{}
	}
	for {
		select {
		case <-s.closed:
			return nil, time.Time{}
		default:
		}
		if l := s.popLocked(); l != nil {
			w.turn = turn{lane: l, since: time.Now()}
			s.turns[w] = struct{}{}
			s.watchLocked()
			return l, w.turn.since
		}
		s.idle++
		s.wake.Wait()
		s.idle--
	}
}

// backLocked ends a turn; false if another has taken the worker's place.
func (s *scheduler) backLocked(w *worker) bool {
	t := w.turn
	w.turn = turn{}
	delete(s.turns, w)
	if !t.aside {
		return true
	}
	s.aside--
	if t.lane.load.stalled--; t.lane.load.stalled == 0 {
		for _, l := range t.lane.load.parked {
			s.addLocked(l)
		}
		t.lane.load.parked = nil
	}
	if s.active >= s.workers {
		return false
	}
	s.active++
	return true
}

// popLocked takes the first lane whose organization does not keep a worker waiting.
func (s *scheduler) popLocked() *lane {
	for s.first < len(s.ready) {
		l := s.ready[s.first]
		s.ready[s.first] = nil
		if s.first++; s.first == len(s.ready) {
			s.ready, s.first = s.ready[:0], 0
		}
		if l.load.stalled == 0 {
			return l
		}
		l.load.parked = append(l.load.parked, l)
	}
	return nil
}

// relieve has others take the places of workers that are kept waiting, until the scheduler is closed.
func (s *scheduler) relieve() {
	ticker := time.NewTicker(stallTick)
	defer ticker.Stop()
	for {
		ticker.Stop()
		select {
		case <-s.closed:
			return
		case <-s.behind:
		}
		ticker.Reset(stallTick)
		for s.look(time.Now()) {
			select {
			case <-s.closed:
				return
			case <-ticker.C:
			}
		}
	}
}

// look looks at the turns; false if no lane waits any more.
func (s *scheduler) look(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.turns {
		if !w.turn.aside && now.Sub(w.turn.since) > stallTime && s.aside < stallWorkers {
			w.turn.aside = true
			w.turn.lane.load.stalled++
			s.aside++
			s.active--
		}
	}
	for s.active < s.workers {
		s.active++
		s.start()
	}
	s.watching = s.first < len(s.ready)
	return s.watching
}

// stalled is how many workers are kept waiting.
func (s *scheduler) stalled() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.aside
}

// close ends the workers. What waits is left.
func (s *scheduler) close() {
	s.mu.Lock()
	close(s.closed)
	s.mu.Unlock()
	s.wake.Broadcast()
}
