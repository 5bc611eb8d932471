package transport

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/hub"
)

// Conn is a WebSocket connection that speaks a hub protocol. Its exported methods are for its session and for the shard
// that owns its outbox.
//
// A connection has two halves that end in any order: the reader, a goroutine of its own, and the writer, which before
// the session is open is the reader too and then the shard. The half that ends last closes the socket.
type Conn struct {
	// Static after the upgrade.
	h        *Handler
	id       connID
	sock     *socket
	features hub.Features
	share    *share // nil where there is no quota; guarded by registry.mu

	// Static once the session is open.
	protocol *hubProtocol
	session  Session

	reader // owned by the reader goroutine

	// Owned by the shard.
	nextPing time.Duration // since h.started; 0 until KeepAlive is called first

	// Written by one half, read by the other.
	lastRead atomic.Int64  // when bytes came last, since h.started; busy while an invocation runs
	greeted  atomic.Bool   // the handshake has come, or the connection ends without
	expires  atomic.Int64  // when the connection is to end because of its token, since h.started; 0: never
	opened   atomic.Bool   // session is set
	expired  atomic.Bool   // expires has come: what the shard takes for silence is the end of the token
	pinged   atomic.Bool   // the client has sent a ping: the client timeout counts
	status   atomic.Uint32 // of the Close frame, if it tells of a violation; else 0
	final    atomic.Uint32 // 1 + the fanout.EndReason for which the shard ends the connection by itself; else 0
	ended    atomic.Uint32 // 1 + the fanout.EndReason of the outbox; 0 before
	halves   atomic.Uint32 // that have ended
}

// busy stands for a time of the last read while the client waits for the server and not the server for the client.
const busy = math.MaxInt64

// The halves of a connection.
const (
	readerHalf = 1 << iota
	writerHalf
	bothHalves = readerHalf | writerHalf
)

var _ hub.Conn = (*Conn)(nil)

// ID is the public connection id.
func (c *Conn) ID() string { return c.id.String() }

// Protocol is the hub protocol that the handshake chose.
func (c *Conn) Protocol() fanout.Protocol { return c.protocol.protocol() }

// Features are the extensions that the URL of the upgrade asked for.
func (c *Conn) Features() hub.Features { return c.features }

// EncodeCompletion makes the frame that carries a completion.
func (c *Conn) EncodeCompletion(completion *hub.Completion) []byte {
	return c.protocol.frame(c.protocol.appendCompletion(newFrame(max(128, len(completion.Record)+1)), completion))
}

// EncodeNotice makes the frame that carries a notice.
func (c *Conn) EncodeNotice(n hub.Notice) []byte {
	return c.protocol.frame(c.protocol.appendNotice(newFrame(512), n))
}

// EncodeClose makes the last frames of the connection: a Close hub message where the reason has one, and a Close frame
// (W8, D6, D7). A client that broke the WebSocket protocol gets a Close frame alone, whose status tells.
func (c *Conn) EncodeClose(reason hub.CloseReason) []byte {
	status := c.status.Load()
	switch {
	case reason == hub.CloseGone:
		return nil
	case reason == hub.CloseProtocolError && status != 0:
		return appendCloseFrame(nil, uint16(status)) //nolint:gosec // it was set from one
	}
	if text, allowReconnect, ok := reason.Message(); ok {
		return c.protocol.closing(text, allowReconnect)
	}
	return appendCloseFrame(nil, statusNormal)
}

// TryWrite hands p to the socket without waiting. It does not allocate.
func (c *Conn) TryWrite(p []byte) (n int, err error) { return c.sock.tryWrite(p) }

// WriteAll hands all of p to the socket within the send timeout (W9).
func (c *Conn) WriteAll(p []byte) error { return c.sock.writeAll(p, c.h.options.SendTimeout) }

// KeepAlive is the ping that is due, when to ask again, and whether the client is still there (1.8) and its token good.
func (c *Conn) KeepAlive(now time.Time) (frame []byte, next time.Duration, ok bool) {
	at := now.Sub(c.h.started)
	if c.nextPing == 0 {
		c.nextPing = at + c.h.options.KeepAliveInterval
	}
	if at >= c.nextPing {
		frame = c.protocol.ping
		c.nextPing = at + c.h.options.KeepAliveInterval
	}
	next = c.nextPing - at
	if last := c.lastRead.Load(); last != busy && c.pinged.Load() {
		left := time.Duration(last) + c.h.options.ClientTimeout - at
		if left <= 0 {
			return nil, 0, false
		}
		next = min(next, left)
	}
	if expires := time.Duration(c.expires.Load()); expires != 0 {
		left := expires - at
		if left <= 0 {
			c.expired.Store(true)
			return nil, 0, false
		}
		next = min(next, left)
	}
	return frame, next, true
}

// expireWith makes the connection end with a token, if it is to.
func (c *Conn) expireWith(claims *authz.Claims) {
	var expires time.Duration
	if c.h.options.CloseAtExpiry && !claims.ExpiresAt.IsZero() {
		// At least 1: 0 is never. The grace is added to the time, as the difference may be the longest that there is.
		expires = max(claims.ExpiresAt.Add(c.h.options.ExpiryGrace).Sub(c.h.started), 1)
	}
	c.expires.Store(int64(expires))
}

// Final makes the last frames of an outbox that the shard ends. The reason counts from now on: the peer may answer the
// frames before Ended is called.
func (c *Conn) Final(reason fanout.EndReason) []byte {
	c.final.Store(uint32(reason) + 1)
	return c.EncodeClose(c.closeReason(reason))
}

// finalReason is why the shard ends the connection by itself, and the given reason if it does not.
func (c *Conn) finalReason(otherwise hub.CloseReason) hub.CloseReason {
	if final := c.final.Load(); final != 0 {
		return c.closeReason(fanout.EndReason(final - 1)) //nolint:gosec // it was set from one
	}
	return otherwise
}

// closeReason is why a session ends whose outbox ended.
func (c *Conn) closeReason(reason fanout.EndReason) hub.CloseReason {
	switch reason {
	case fanout.EndSlow:
		return hub.CloseSlow
	case fanout.EndSilent:
		if c.expired.Load() {
			return hub.CloseExpired
		}
		return hub.CloseSilent
	default:
		return hub.CloseGone
	}
}

// Ended says that nothing more will be written. The reader then gives the peer the close timeout.
func (c *Conn) Ended(reason fanout.EndReason) {
	c.ended.Store(uint32(reason) + 1)
	if reason == fanout.EndFailed {
		c.sock.abort()
	} else {
		c.sock.wakeReader()
	}
	c.leave(writerHalf)
}

// leave ends a half of the connection, and the connection with the second.
func (c *Conn) leave(half uint32) {
	if before := c.halves.Or(half); before == bothHalves || before|half != bothHalves {
		return
	}
	c.sock.close()
	c.h.metrics.connections[c.metricsProtocol()].Dec()
	c.h.registry.remove(c)
}

// metricsProtocol is the protocol under which the connection is counted.
func (c *Conn) metricsProtocol() string {
	if c.protocol == nil {
		return protocolNone
	}
	return c.protocol.protocol().String()
}
