package simulator

import (
	"fmt"
	"time"
)

// Recount compares the counters, which follow each change, with the calls and agents themselves.
func (s *Simulator) Recount() error {
	for _, q := range s.queues {
		var want queueCounters
		for _, a := range q.agents {
			p := a.presence()
			want.checkedIn += p.checkedIn
			want.free += p.free
			want.wrapUp += p.wrapUp
			want.longAway += p.longAway
			want.shortAway += p.shortAway
			want.fetching += p.fetching
		}
		for _, c := range q.line {
			if c.queue != q {
				return fmt.Errorf("call %s is in the line of a queue that is not its own", c.id)
			}
			if c.state == callWaiting {
				want.waiting++
			} else {
				want.ringing++
			}
		}
		for _, a := range s.agents {
			if a.call != nil && a.call.queue == q && a.call.state == callConnected {
				want.connected++
			}
		}
		if want != q.counters {
			return fmt.Errorf("%s at %v: counters %+v, counted %+v", q.Name, s.now, q.counters, want)
		}
		if sum := want.free + want.shortAway + want.longAway; sum != want.checkedIn {
			return fmt.Errorf("%s: %d agents of %d have a place", q.Name, sum, want.checkedIn)
		}
		f := q.figures
		if left := f.Offered - f.Answered - f.Abandoned - f.Overflowed; left != len(q.line) {
			return fmt.Errorf("%s: %+v leave %d calls, %d are in line", q.Name, f, left, len(q.line))
		}
		if free := longestFree(q.agents); free != nil && want.waiting > 0 && q.outages == 0 {
			return fmt.Errorf("%s: %s is free while %d calls wait", q.Name, free.Name, want.waiting)
		}
	}
	return nil
}

// OpenAt reports whether the scenario opens a queue at a time since the start.
func (s *Simulator) OpenAt(queue string, at time.Duration) bool {
	return contains(s.scenario.hoursOf(queue), s.timeOfDay(at))
}

// Appointments returns the number of appointments.
func (s *Simulator) Appointments() int { return len(s.agenda.heap) }
