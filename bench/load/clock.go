package load

import "time"

// Clock counts nanoseconds from its creation. Publisher and client share one, as they share a process.
type Clock struct{ start time.Time }

// NewClock starts a clock.
func NewClock() Clock { return Clock{start: time.Now()} }

// Now is the time in nanoseconds.
func (c Clock) Now() int64 { return int64(time.Since(c.start)) }
