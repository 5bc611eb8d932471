package transport

import (
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/rte-server/rte-server/internal/transport/websocket"
)

const (
	// blockedWrite is how long a write has to wait for the client before its connection counts as slow. Under a flood a
	// socket of a client that reads is full for some milliseconds.
	blockedWrite = 100 * time.Millisecond
	// unreadFor is how long a slow client shall need for the bytes that it has not read.
	unreadFor = 500 * time.Millisecond
	// pingAfter is how many bytes are written behind a ping before the next one is due.
	pingAfter = 8 << 10
	// fastFactor times Limits.UnreadBytes is what a client must read within unreadFor in order not to be slow any more.
	fastFactor = 8
)

// unread knows how much of what was written a slow client has not read. The buffers of the client's operating system,
// and those of proxies, take 100 KB and more: at 50 KB/s, states of two seconds in front of newer ones, which could
// have replaced them in the outbox. A ping of the WebSocket protocol behind the written bytes shows when the client has
// read them.
//
// The half of the connection that writes owns the fields, except where they are atomic.
type unread struct {
	bytes  int           // written since the last ping that came back
	behind int           // of them, written since the last ping
	before int           // bytes when the last ping was sent
	bound  int           // of bytes
	limit  int           // Limits.UnreadBytes
	sent   uint64        // pings
	at     time.Duration // when the last ping was sent, since Handler.started

	back    atomic.Uint64 // the last ping that came back
	backAt  atomic.Int64  // when it came back
	seen    uint64        // the last one that the writer has seen
	over    atomic.Bool   // the connection ends: nothing is held back any more
	changed chan struct{} // back or over may have changed
}

// newUnread returns the account of a client that has turned out slow. It has an unknown amount to read.
func newUnread(limit int) *unread {
	return &unread{bytes: limit, bound: limit, limit: limit, changed: make(chan struct{}, 1)}
}

// pong records a pong of the client. The reader calls it.
func (u *unread) pong(payload []byte, now time.Duration) {
	if len(payload) != 8 {
		return // of no ping of ours
	}
	number := binary.BigEndian.Uint64(payload)
	if number <= u.back.Load() {
		return
	}
	u.backAt.Store(int64(now))
	u.back.Store(number)
	u.signal()
}

func (u *unread) signal() {
	select {
	case u.changed <- struct{}{}:
	default:
	}
}

// end lets all writes go on. Any goroutine may call it.
func (u *unread) end() {
	u.over.Store(true)
	u.signal()
}

// takePong takes note of a pong. fast reports whether the client is not slow any more.
func (u *unread) takePong() (fast bool) {
	back := u.back.Load()
	if back < u.sent || back == u.seen {
		return false
	}
	u.seen = back
	u.bytes = u.behind
	took := max(time.Duration(u.backAt.Load())-u.at, time.Millisecond)
	bound := int(float64(u.before) * float64(unreadFor) / float64(took))
	u.bound = max(bound, u.limit/2)
	return bound >= fastFactor*u.limit
}

// waits reports whether a ping is on its way.
func (u *unread) waits() bool { return u.seen < u.sent }

// full reports whether the client has enough to read.
func (u *unread) full() bool { return u.bytes >= u.bound }

// wrote counts n written bytes.
func (u *unread) wrote(n int) { u.bytes, u.behind = u.bytes+n, u.behind+n }

// ping returns the frame of the next ping.
func (u *unread) ping(now time.Duration) []byte {
	u.sent++
	u.at, u.behind, u.before = now, 0, u.bytes
	return websocket.AppendFrame(nil, websocket.OpPing, binary.BigEndian.AppendUint64(nil, u.sent))
}

// holdsBack reports whether a write has to wait for the client, or for a ping that WriteAll sends.
func (c *Conn) holdsBack() bool {
	u := c.unread.Load()
	if u == nil {
		return false
	}
	if u.takePong() {
		c.unread.CompareAndSwap(u, nil)
		return false
	}
	if u.over.Load() {
		return false
	}
	if u.waits() {
		return u.full() && time.Since(c.h.started)-u.at < c.h.options.Timeouts.Send
	}
	return u.full() || u.behind >= pingAfter
}

// awaitClient waits until the client has read most of what was written. A client that never answers pings, against RFC
// 6455, loses the send timeout once.
func (c *Conn) awaitClient() {
	u := c.unread.Load()
	if u == nil {
		return
	}
	timer := time.NewTimer(u.at + c.h.options.Timeouts.Send - time.Since(c.h.started))
	defer timer.Stop()
	for c.holdsBack() && u.waits() {
		select {
		case <-u.changed:
		case <-timer.C:
			return
		}
	}
}

// wroteAll counts a write that took the given time, and sends a ping behind it to a slow client.
func (c *Conn) wroteAll(n int, took time.Duration) error {
	u := c.unread.Load()
	if u == nil {
		limit := c.h.options.Limits.UnreadBytes
		if took < blockedWrite || limit <= 0 || c.link != nil || !c.opened.Load() {
			return nil
		}
		u = newUnread(limit)
		c.unread.Store(u)
		c.h.metrics.slow.Inc()
	}
	u.wrote(n)
	if u.takePong() {
		c.unread.CompareAndSwap(u, nil)
		return nil
	}
	if u.waits() || u.over.Load() {
		return nil
	}
	ping := u.ping(time.Since(c.h.started))
	c.sent.Add(int64(len(ping)))
	return c.socket().WriteAll(ping, c.h.options.Timeouts.Send)
}

// release ends the wait for a slow client, because the connection or its socket ends.
func (c *Conn) release() {
	if u := c.unread.Load(); u != nil {
		u.end()
	}
}
