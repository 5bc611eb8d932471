package load

import "time"

// Clock counts nanoseconds from its creation. Publisher and client share it.
type Clock struct{ start time.Time }

// NewClock returns a clock that starts now.
func NewClock() Clock { return Clock{start: time.Now()} }

// Now returns the time in nanoseconds.
func (c Clock) Now() int64 { return int64(time.Since(c.start)) }
