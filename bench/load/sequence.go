package load

// window is the number of events within which a late delivery can be distinguished from a repeated one.
const window = 64

// sequence follows the numbers of one topic on one connection. They start at 1.
type sequence struct {
	last     uint32 // the highest number seen
	received uint32 // numbers seen, without repetitions
	seen     uint64 // bit i: last-i was seen
}

// arrival classifies a delivery.
type arrival uint8

const (
	inOrder   arrival = iota
	late              // newer events came before it
	duplicate         // the same event came before
)

// next records the number of a delivery.
func (s *sequence) next(number uint32) arrival {
	if number > s.last {
		s.seen = s.seen<<min(number-s.last, window) | 1
		s.last = number
		s.received++
		return inOrder
	}
	back := s.last - number
	if back >= window {
		s.received++
		return late // too old to distinguish; a repetition would be a fault as well
	}
	if s.seen&(1<<back) != 0 {
		return duplicate
	}
	s.seen |= 1 << back
	s.received++
	return late
}
