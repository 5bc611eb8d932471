package transport

import (
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"
)

const sendTimeout = 5 * time.Second

// slowConn returns a connection whose client has turned out slow, with a ping on its way behind n bytes.
func slowConn(limit, n int) (*Conn, *unread) {
	c := &Conn{h: &Handler{
		started: time.Now(), metrics: &metrics{}, options: Options{Timeouts: Timeouts{Send: sendTimeout}},
	}}
	u := newUnread(limit)
	u.wrote(n)
	u.ping(time.Since(c.h.started))
	c.unread.Store(u)
	return c, u
}

// answer is the pong to the ping with that number.
func (c *Conn) answer(number uint64) {
	c.unread.Load().pong(binary.BigEndian.AppendUint64(nil, number), time.Since(c.h.started))
}

func TestUnread_followsThePaceOfTheClient(t *testing.T) {
	const limit = 32 << 10
	for name, test := range map[string]struct {
		took  time.Duration // from the first ping to its pong, with 64 KiB in front of it
		bound int           // then; 0: the client is not slow any more
	}{
		"reads in no time":               {0, 0},
		"reads 640 KiB/s":                {100 * time.Millisecond, 0},
		"reads 128 KiB/s":                {500 * time.Millisecond, 64 << 10},
		"reads 50 KiB/s":                 {1280 * time.Millisecond, 25 << 10},
		"reads nearly nothing":           {4 * time.Second, limit / 2},
		"reads nothing for a long while": {time.Hour, limit / 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, u := slowConn(limit, limit)
				if !c.holdsBack() {
					t.Fatal("nothing is held back")
				}
				time.Sleep(test.took)
				c.answer(1)
				held := c.holdsBack()
				if held || (c.unread.Load() == nil) != (test.bound == 0) || test.bound > 0 && u.bound != test.bound {
					t.Errorf("held back: %v, bound %d; want %d", held, u.bound, test.bound)
				}
			})
		})
	}
}

func TestUnread_holdsBackUntilTheClientHasRead(t *testing.T) {
	end := func(c *Conn) { c.unread.Load().end() }
	for name, test := range map[string]struct {
		happens func(c *Conn) // a second after the ping
		until   time.Duration
	}{
		"the pong":                      {func(c *Conn) { c.answer(1) }, time.Second},
		"the end of the connection":     {end, time.Second},
		"nothing":                       {func(*Conn) {}, sendTimeout},
		"a pong without a ping":         {func(c *Conn) { c.unread.Load().pong([]byte("alive"), 1) }, sendTimeout},
		"a pong of no ping":             {func(c *Conn) { c.answer(0) }, sendTimeout},
		"the pong, long after its time": {func(c *Conn) { time.AfterFunc(time.Minute, func() { c.answer(1) }) }, sendTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := slowConn(32<<10, 32<<10)
				began := time.Now()
				time.AfterFunc(time.Second, func() { test.happens(c) })
				c.awaitClient()
				if took := time.Since(began); took != test.until {
					t.Errorf("writes wait for %v, want %v", took, test.until)
				}
				if c.holdsBack() {
					t.Error("writes are still held back")
				}
				time.Sleep(2 * time.Minute)
			})
		})
	}
}

// A client may read faster again, and bytes behind a ping must not count as read.
func TestUnread_countsBytesBehindThePing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, u := slowConn(32<<10, 0)
		u.wrote(20 << 10)
		time.Sleep(time.Second)
		c.answer(1)
		if !c.holdsBack() {
			t.Errorf("nothing is held back, with %d bytes behind the ping and room for %d", u.bytes, u.bound)
		}
		if u.bytes != 20<<10 {
			t.Errorf("%d bytes are unread, want %d", u.bytes, 20<<10)
		}
	})
}
