package transport

import (
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/transport/hubprotocol"
)

// The times of section 1.8, with the time as an argument.
func TestKeepAlive(t *testing.T) {
	start := time.Now()
	c := &Conn{
		h: &Handler{
			started: start, options: Options{Timeouts: Timeouts{KeepAlive: 15 * time.Second, Client: 30 * time.Second}},
		},
		protocol: hubprotocol.Protocols(0)["json"],
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

// KeepAlive finds the end of a token, too.
func TestKeepAlive_Expiry(t *testing.T) {
	start := time.Now()
	claims := &authz.Claims{ExpiresAt: start.Add(20 * time.Second)}
	for name, test := range map[string]struct {
		options Options
		claims  *authz.Claims
		at      time.Duration
		ok      bool
		next    time.Duration
	}{
		"the last moment": {
			Options{Tokens: TokenOptions{CloseAtExpiry: true, ExpiryGrace: time.Second}}, claims, 21*time.Second - 1, true, 1,
		},
		"expired": {
			Options{Tokens: TokenOptions{CloseAtExpiry: true, ExpiryGrace: time.Second}}, claims, 21 * time.Second, false, 0,
		},
		"expired before": {
			Options{Tokens: TokenOptions{CloseAtExpiry: true}},
			&authz.Claims{ExpiresAt: start.Add(-time.Hour)}, time.Minute,
			false, 0,
		},
		"in the year 9999": {
			Options{Tokens: TokenOptions{CloseAtExpiry: true, ExpiryGrace: time.Second}},
			&authz.Claims{ExpiresAt: time.Unix(253402300799, 0)}, time.Hour, true, 15 * time.Second,
		},
		"never expires": {
			Options{Tokens: TokenOptions{CloseAtExpiry: true}}, &authz.Claims{}, time.Hour, true, 15 * time.Second,
		},
		"not closed at expiry": {Options{}, claims, time.Hour, true, 15 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			test.options.Timeouts.KeepAlive, test.options.Timeouts.Client = 15*time.Second, 30*time.Second
			c := &Conn{h: &Handler{started: start, options: test.options}, protocol: hubprotocol.Protocols(0)["json"]}
			c.expireWith(test.claims)
			_, next, ok := c.KeepAlive(start.Add(test.at))
			if ok != test.ok || next != test.next {
				t.Errorf("next %s, ok %v, want %s, %v", next, ok, test.next, test.ok)
			}
			want := hub.CloseSilent
			if !test.ok {
				want = hub.CloseExpired
			}
			if got := c.closeReason(fanout.EndSilent); got != want {
				t.Errorf("closed as %s, want %s", got, want)
			}
		})
	}
}

// A token that expired a moment ago is accepted, because clocks differ. Its connection was closed at once, and a client
// that returned with the same token did so hundreds of times a second.
func TestKeepAlive_expiredWithinTheLeeway(t *testing.T) {
	start := time.Now()
	options := Options{Tokens: TokenOptions{CloseAtExpiry: true}}
	options.Timeouts.KeepAlive, options.Timeouts.Client = 15*time.Second, 30*time.Second
	c := &Conn{h: &Handler{started: start, options: options}, protocol: hubprotocol.Protocols(0)["json"]}
	c.expireWith(&authz.Claims{ExpiresAt: start.Add(-time.Second)})
	for at, want := range map[time.Duration]bool{9 * time.Second: true, 20 * time.Second: false} {
		if _, _, ok := c.KeepAlive(start.Add(at)); ok != want {
			t.Errorf("after %s: open %v", at, ok)
		}
	}
}

// Connections ended late by as much as the clock was set forwards after the start of the node, and early by as much as
// it was set backwards.
func TestKeepAlive_expiryAfterTheClockWasSet(t *testing.T) {
	const uptime = time.Hour
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC) // whatever the clock was at the start
	options := TokenOptions{CloseAtExpiry: true, ExpiryGrace: time.Second}
	if got, want := options.expiry(now.Add(20*time.Second), now, uptime), uptime+21*time.Second; got != want {
		t.Errorf("ends %s after the start, want %s", got, want)
	}
}
