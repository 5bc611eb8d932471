package demo

import (
	"slices"
	"time"
)

// agenda has the future appointments in order. Appointments at equal times are in the order of add.
type agenda []appointment

type appointment struct {
	at time.Duration // since the start of the day
	do func()
}

func (a *agenda) add(at time.Duration, do func()) {
	i, _ := slices.BinarySearchFunc(*a, at, func(e appointment, at time.Duration) int {
		if e.at <= at {
			return -1
		}
		return 1
	})
	*a = slices.Insert(*a, i, appointment{at, do})
}

// next removes and returns the first appointment. The agenda is never empty, because each arrival of a caller adds the
// next arrival.
func (a *agenda) next() appointment {
	first := (*a)[0]
	*a = slices.Delete(*a, 0, 1)
	return first
}
