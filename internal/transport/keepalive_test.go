package transport

import (
	"testing"
	"time"
)

// The times of section 1.8, with a clock of the test's own.
func TestKeepAlive(t *testing.T) {
	start := time.Now()
	c := &Conn{
		h: &Handler{
			started: start, options: Options{KeepAliveInterval: 15 * time.Second, ClientTimeout: 30 * time.Second},
		},
		protocol: hubProtocols(0)["json"],
	}
	expect := func(what string, at time.Duration, ping bool, next time.Duration, ok bool) {
		t.Helper()
		frame, gotNext, gotOK := c.KeepAlive(start.Add(at))
		if (frame != nil) != ping || gotNext != next || gotOK != ok {
			t.Errorf("%s: at %s: ping %v, next %s, ok %v; want %v, %s, %v",
				what, at, frame != nil, gotNext, gotOK, ping, next, ok)
		}
	}
	received := func(at time.Duration) { c.lastRead.Store(int64(at)) }

	received(time.Second)
	expect("opened", time.Second, false, 15*time.Second, true)
	expect("called early", 10*time.Second, false, 6*time.Second, true)
	expect("first ping", 16*time.Second, true, 15*time.Second, true)
	expect("a client that never pinged is never silent", time.Hour, true, 15*time.Second, true)
	c.pinged.Store(true)
	received(time.Hour)
	expect("the client timeout is further away", time.Hour+time.Second, false, 14*time.Second, true)
	expect("the client timeout is nearer", time.Hour+16*time.Second, true, 14*time.Second, true)
	received(busy)
	expect("an invocation runs", time.Hour+time.Minute, true, 15*time.Second, true)
	received(time.Hour + time.Minute)
	expect("the last moment", time.Hour+90*time.Second-1, true, 1, true)
	expect("silent", time.Hour+90*time.Second, false, 0, false)
}
