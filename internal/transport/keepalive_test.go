package transport

import (
	"strings"
	"testing"
	"testing/synctest"
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

// Each whole hub message of the client is a sign of life, and nothing else is. The messages that end a connection do
// not matter.
func TestTouch_byHubMessages(t *testing.T) {
	for name, test := range map[string]struct {
		received string
		touches  bool
		pinged   bool
	}{
		"a ping":               {`{"type":6}` + "\x1e", true, true},
		"an unknown type":      {`{"type":99}` + "\x1e", true, false},
		"a Cancel of no call":  {`{"type":5,"invocationId":"1"}` + "\x1e", true, false},
		"half a ping":          {`{"type":`, false, false},
		"nothing":              {"", false, false},
		"a ping and a half":    {`{"type":6}` + "\x1e{", true, true},
		"much of a large call": {`{"x":"` + strings.Repeat("x", smallMessage), false, true}, // the rest must come in time
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limits := Limits{MessageBytes: 1 << 20, PendingBytes: 1 << 20}
				c := &Conn{
					h:        &Handler{started: time.Now(), options: Options{Limits: limits}, metrics: newMetrics(nil, &limits)},
					protocol: hubprotocol.Protocols(0)["json"],
					reader:   reader{phase: phaseOpen, messages: hubprotocol.NewSplitter(limits.MessageBytes)},
				}
				c.messages.Switch(c.protocol, limits.MessageBytes)
				time.Sleep(time.Minute)
				c.receive([]byte(test.received))
				if touched := c.lastRead.Load() == int64(time.Minute); touched != test.touches {
					t.Errorf("the client is alive since %v", time.Duration(c.lastRead.Load()))
				}
				if c.pinged.Load() != test.pinged {
					t.Errorf("the client timeout counts: %v", c.pinged.Load())
				}
				c.lastRead.Store(busy)
				if c.touch(); c.lastRead.Load() != busy {
					t.Error("a message ends the time in which a call runs")
				}
			})
		})
	}
}

// A connection without a socket lives for the window, or until its token ends. With the next socket all times begin
// again, and the pings come again.
func TestKeepAlive_resumes(t *testing.T) {
	const window, keepAlive, client = 20 * time.Second, 15 * time.Second, 30 * time.Second
	synctest.Test(t, func(t *testing.T) {
		c := &Conn{
			h: &Handler{started: time.Now(), options: Options{
				Timeouts: Timeouts{KeepAlive: keepAlive, Client: client}, Resume: ResumeOptions{Window: window},
			}},
			protocol: hubprotocol.Protocols(0)["json"], resume: &resume{},
		}
		c.pinged.Store(true)
		expect := func(what string, ping bool, want time.Duration, alive bool) {
			t.Helper()
			frame, next, ok := c.KeepAlive(time.Now())
			if (frame != nil) != ping || next != want || ok != alive {
				t.Errorf("%s: ping %v, next %s, ok %v; want %v, %s, %v", what, frame != nil, next, ok, ping, want, alive)
			}
		}
		expect("opened", false, keepAlive, true)
		for range 3 {
			time.Sleep(10 * time.Second)
			c.unread.Store(newUnread(1))
			lost := int64(time.Since(c.h.started))
			c.resume.lostAt.Store(lost)
			expect("lost", false, window, true)
			time.Sleep(window - 1)
			expect("the last moment", false, 1, true)
			if got := c.closeReason(fanout.EndSilent); got != hub.CloseGone {
				t.Errorf("closed as %s", got)
			}
			(&handover{c: c}).Attach()
			if c.unread.Load() != nil {
				t.Error("the client counts as slow, because of its previous socket")
			}
			expect("attached", false, keepAlive, true)
			if got := c.closeReason(fanout.EndSilent); got != hub.CloseSilent {
				t.Errorf("closed as %s", got)
			}
			time.Sleep(keepAlive)
			expect("the next ping", true, keepAlive, true)
			time.Sleep(client - keepAlive - 1)
			expect("the last moment of the client", false, 1, true)
			c.touch()
		}
		c.lastRead.Store(busy)
		(&handover{c: c}).Attach()
		if c.lastRead.Load() != busy {
			t.Error("the client timeout counts while a call runs")
		}
		c.resume.lostAt.Store(int64(time.Since(c.h.started)))
		c.expires.Store(int64(time.Since(c.h.started) + time.Second))
		expect("with a token that ends", false, time.Second, true)
		time.Sleep(time.Second)
		expect("after the token", false, 0, false)
		if got := c.closeReason(fanout.EndSilent); got != hub.CloseExpired {
			t.Errorf("closed as %s", got)
		}
		c.expires.Store(0)
		time.Sleep(window)
		expect("after the window", false, 0, false)
	})
}
