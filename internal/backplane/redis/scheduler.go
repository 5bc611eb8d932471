package redis

import (
	"sync"
	"time"

	"github.com/rte-server/rte-server/internal/wakeup"
)

const (
	// stallTime is how long the turn of a worker may take before another worker replaces it: the sink waits when it
	// has too many deliveries of one organization under way, and must not hold up the others. A turn takes about 0.1
	// ms.
	stallTime = 2 * time.Millisecond
	// stallTick is how often the turns are checked while lanes wait.
	stallTick = time.Millisecond
	// stallWorkers is how many waiting workers are replaced. If more wait, all organizations wait.
	stallWorkers = 64
)

// scheduler gives lanes with messages to the workers in round robin: a lane with more than a quantum goes to the back,
// so that a flood of one organization delays the others by one quantum. If the sink makes a worker wait, another
// worker replaces it, and the other lanes of that organization wait until the first one is back.
type scheduler struct {
	workers int           // how many run at once
	start   func()        // starts another worker
	closed  chan struct{} // closed by close
	behind  wakeup.Signal // set when lanes wait and no worker is idle

	mu       sync.Mutex
	wake     sync.Cond
	ready    []*lane              // guarded by mu; ready[first:] wait, in order
	first    int                  // guarded by mu
	turns    map[*worker]struct{} // guarded by mu; the workers that have a lane
	active   int                  // guarded by mu; workers that do not wait for the sink
	idle     int                  // guarded by mu; active workers without a lane
	stalled  int                  // guarded by mu; workers that wait for the sink
	watching bool                 // guarded by mu; behind was set, and relieve checks the turns
}

// turn is the turn of a worker with a lane.
type turn struct {
	lane    *lane     // guarded by scheduler.mu; nil: none
	since   time.Time // guarded by scheduler.mu
	stalled bool      // guarded by scheduler.mu; it waits for the sink, and another worker has replaced it
}

func newScheduler(workers int, start func()) *scheduler {
	s := &scheduler{
		workers: workers,
		start:   start,
		closed:  make(chan struct{}),
		behind:  wakeup.New(),
		turns:   map[*worker]struct{}{},
	}
	s.wake.L = &s.mu
	return s
}

// add appends a lane that is not in the scheduler.
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

// watchLocked makes relieve check the turns if lanes wait and no worker is idle.
func (s *scheduler) watchLocked() {
	if s.idle == 0 && !s.watching && s.first < len(s.ready) {
		s.watching = true
		s.behind.Set()
	}
}

// next ends the worker's turn and waits for a lane. It returns nil when the worker must end.
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

// backLocked ends a turn. It reports whether the worker may go on: another one may have replaced it.
func (s *scheduler) backLocked(w *worker) bool {
	t := w.turn
	w.turn = turn{}
	delete(s.turns, w)
	if !t.stalled {
		return true
	}
	s.stalled--
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

// popLocked removes the first lane whose organization has no waiting worker.
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

// relieve replaces workers that wait for the sink, until the scheduler is closed.
func (s *scheduler) relieve() {
	ticker := time.NewTicker(stallTick)
	defer ticker.Stop()
	for {
		ticker.Stop()
		select {
		case <-s.closed:
			return
		case <-s.behind.C():
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

// look checks the turns. It reports whether lanes still wait.
func (s *scheduler) look(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.turns {
		if !w.turn.stalled && now.Sub(w.turn.since) > stallTime && s.stalled < stallWorkers {
			w.turn.stalled = true
			w.turn.lane.load.stalled++
			s.stalled++
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

// stalledWorkers returns how many workers wait for the sink.
func (s *scheduler) stalledWorkers() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stalled
}

// close ends the workers. Lanes that wait stay unserved.
func (s *scheduler) close() {
	s.mu.Lock()
	close(s.closed)
	s.mu.Unlock()
	s.wake.Broadcast()
}
