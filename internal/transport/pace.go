package transport

import "time"

// burst is how far a client may be ahead of a rate: what it may send in this time counts at once.
const burst = 10 * time.Second

// pace is the rate of one kind of input of one connection (generic cell rate algorithm). It takes 8 bytes per
// connection, where a rate.Limiter of golang.org/x/time takes 56. Its zero value is ready. One goroutine may use it.
type pace struct {
	due time.Duration // when a client that keeps to the rate would send next, since Handler.started
}

// take counts n units at a rate per second and returns how long the client must wait now. A rate below 1 is no limit.
func (p *pace) take(n, rate int, now time.Duration) time.Duration {
	if rate < 1 || n == 0 {
		return 0
	}
	p.due = max(p.due, now) + time.Duration(n)*time.Second/time.Duration(rate)
	return max(p.due-now-burst, 0)
}

// allow is take for one unit, which is not counted if the client must wait.
func (p *pace) allow(rate int, now time.Duration) bool {
	before := p.due
	if p.take(1, rate, now) > 0 {
		p.due = before
		return false
	}
	return true
}
