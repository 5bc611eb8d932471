package demo

import (
	"slices"
	"time"
)

// agenda is what will happen, in order. What was added first comes first among things of one moment.
type agenda []appointment

type appointment struct {
	at time.Duration // since the day began
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

// next takes the first appointment. The agenda is never empty: callers never stop coming.
func (a *agenda) next() appointment {
	first := (*a)[0]
	*a = slices.Delete(*a, 0, 1)
	return first
}
