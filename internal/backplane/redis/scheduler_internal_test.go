package redis

import (
	"testing"
	"time"
)

// Lanes wait while a worker waits with an event of their organization. They are scheduled once when it is back: a lane
// that is scheduled twice has two workers, which get its events out of order.
func TestScheduler_schedulesParkedLanesOnce(t *testing.T) {
	s := newScheduler(1, func() {})
	s.look(time.Now()) // starts the only worker
	busy := &load{}
	next := func(w *worker, want string) {
		t.Helper()
		if l, _ := s.next(w); l == nil || l.name != want {
			t.Fatalf("got %+v, want the lane %s", l, want)
		}
	}
	for range 2 {
		first, second := &worker{}, &worker{}
		s.add(&lane{name: "waits for the sink", load: busy})
		next(first, "waits for the sink")
		s.look(time.Now().Add(2 * stallTime)) // another worker replaces the first one
		s.add(&lane{name: "parked", load: busy})
		s.add(&lane{name: "of others", load: &load{}})
		next(second, "of others")
		if l, _ := s.next(first); l != nil {
			t.Fatalf("a worker too many goes on with the lane %s", l.name)
		}
		next(second, "parked")
		if left := len(s.ready) - s.first; left != 0 {
			t.Fatalf("%d lanes are still scheduled", left)
		}
		s.backLocked(second)
	}
}
