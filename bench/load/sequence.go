package load

// window is how many events back a late delivery can be told from a repeated one.
const window = 64

// sequence follows the numbers of one topic on one connection. They start at 1.
type sequence struct {
	last     uint32 // the highest number seen
	received uint32 // how many numbers were seen, repeats aside
	seen     uint64 // bit i: last-i was seen
}

// verdict says what a delivery was.
type verdict uint8

const (
	inOrder   verdict = iota
	late              // newer ones came before it
	duplicate         // it came before
)

// next takes the number of a delivery.
func (s *sequence) next(number uint32) verdict {
	if number > s.last {
		s.seen = s.seen<<min(number-s.last, window) | 1
		s.last = number
		s.received++
		return inOrder
	}
	back := s.last - number
	if back >= window {
		s.received++
		return late // too old to know better; a repeat this late is as much a fault
	}
	if s.seen&(1<<back) != 0 {
		return duplicate
	}
	s.seen |= 1 << back
	s.received++
	return late
}
