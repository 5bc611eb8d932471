package simulator

import (
	"math"
	"time"
)

// agenda has the future appointments, as a heap. Appointments at equal times are in the order of add.
type agenda struct {
	heap []appointment
	adds uint64
}

type appointment struct {
	at    time.Duration // since the start
	order uint64
	do    func()
}

func (p *appointment) before(other *appointment) bool {
	return p.at < other.at || p.at == other.at && p.order < other.order
}

func (a *agenda) add(at time.Duration, do func()) {
	a.adds++
	a.heap = append(a.heap, appointment{at, a.adds, do})
	h := a.heap
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if !h[i].before(&h[parent]) {
			return
		}
		h[i], h[parent] = h[parent], h[i]
		i = parent
	}
}

// first returns the time of the first appointment. The agenda is never empty, because each check of waiting times adds
// the next one.
func (a *agenda) first() time.Duration { return a.heap[0].at }

// next removes and returns the first appointment.
func (a *agenda) next() appointment {
	h := a.heap
	first, last := h[0], len(h)-1
	h[0] = h[last]
	h[last] = appointment{} // releases the memory of the function
	a.heap = h[:last]
	h = a.heap
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if h[child].before(&h[least]) {
				least = child
			}
		}
		if least == i {
			return first
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}

// tick is the resolution of simulated time. All events of one tick have one timestamp and are one moment for Advance.
const tick = time.Millisecond

// after schedules do, for a later moment.
func (s *Simulator) after(d time.Duration, do func()) {
	s.agenda.add(s.now+max(tick, d.Truncate(tick)), do)
}

// every calls do now and then in the intervals of period.
func (s *Simulator) every(period func() time.Duration, do func()) {
	s.after(period(), func() {
		do()
		s.every(period, do)
	})
}

// likely reports true with a probability.
func (s *Simulator) likely(probability float64) bool { return s.chance.Float64() < probability }

// between returns a random duration between two durations.
func (s *Simulator) between(shortest, longest time.Duration) time.Duration {
	return shortest + time.Duration(s.chance.Int64N(int64(longest-shortest)+1))
}

// around returns a random duration with an exponential distribution around mean, at most five times mean.
func (s *Simulator) around(mean time.Duration) time.Duration {
	return min(time.Duration(s.chance.ExpFloat64()*float64(mean)), 5*mean)
}

// gap returns the time to the next event at a rate per hour.
func (s *Simulator) gap(perHour float64) time.Duration {
	const longest = 24 * time.Hour
	hours := s.chance.ExpFloat64() / math.Max(perHour, 1e-9)
	return time.Duration(math.Min(hours*float64(time.Hour), float64(longest)))
}

// pick returns a random element.
func pick[T any](s *Simulator, from []T) T { return from[s.chance.IntN(len(from))] }
