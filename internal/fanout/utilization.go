package fanout

import (
	"math"
	"time"
)

const (
	// utilizationSpan is how far back utilization looks: what lies further back counts less than a third.
	utilizationSpan = 100 * time.Millisecond
	// shortFrom and shortFull bound the utilizations between which a processor becomes short.
	shortFrom, shortFull = 0.6, 0.9
)

// utilization measures which part of the recent time a shard was at work: from waking up until nothing is left. So
// other threads that take the processor from a shard at work count as well. Its zero value has seen no work. Only the
// shard uses it.
type utilization struct {
	at    time.Time // of the latest call of advance
	value float64   // from 0 to 1, at that time
}

// advance takes whether the shard was at work since the latest call. It reads no clock and costs some 10 ns.
func (u *utilization) advance(now time.Time, working bool) {
	kept := math.Exp(-float64(now.Sub(u.at)) / float64(utilizationSpan))
	u.value *= kept
	if working {
		u.value += 1 - kept
	}
	u.at = now
}

// shortage returns how short the processor is: 0 where there is room, up to 1.
func (u *utilization) shortage() float64 {
	return min(max((u.value-shortFrom)/(shortFull-shortFrom), 0), 1)
}
