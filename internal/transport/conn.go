package transport

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/transport/hubprotocol"
	"github.com/rte-server/rte-server/internal/transport/transports"
	"github.com/rte-server/rte-server/internal/transport/websocket"
)

// Conn is a connection that speaks a hub protocol, on a WebSocket or on a Link in place of one. Its exported methods
// are for its session, for the shard that owns its outbox, and for its socket.
//
// A connection has two halves that end in any order: the reader and the writer. The reader is one goroutine at a time,
// or none while it waits. The writer is the reader until the session is open, then the shard. The half that ends last
// closes the socket.
type Conn struct {
	// Together at the beginning: a write of the shard reads them, and each line of the processor's cache that they share
	// saves a miss.
	sock   atomic.Pointer[websocket.Socket] // replaced by the shard, with stateful reconnect
	unread atomic.Pointer[unread]           // nil unless the client is slow
	sent   atomic.Int64                     // bytes, WebSocket framing included

	// Static after the upgrade.
	h        *Handler
	id       connID
	features hub.Features
	since    time.Duration // when the connection was made, since h.started
	owner    owner
	resumes  bool    // negotiate granted stateful reconnect
	deflates bool    // messages may be compressed; not with stateful reconnect, where the next socket may not offer it
	link     *linked // in place of a WebSocket; nil: the connection has a WebSocket

	early *authz.Claims // of a refresh before the session is open; guarded by h.refresh

	// Static once the session is open.
	protocol *hubprotocol.Protocol
	session  Session
	resume   *resume // nil: the connection ends with its socket

	underway atomic.Pointer[calls] // nil: no call runs; set by the reader, cleared by the last call

	reader // owned by the goroutine that reads

	// Owned by the shard.
	nextPing time.Duration // since h.started; 0 before the first call of KeepAlive

	// Written by one half, read by the other.
	received atomic.Int64  // bytes, WebSocket framing included
	lastRead atomic.Int64  // when bytes came last, since h.started; busy while an invocation runs
	expires  atomic.Int64  // when the token ends the connection, since h.started; 0: never
	greeted  atomic.Bool   // the handshake has come, or the connection ends without it
	opened   atomic.Bool   // session is set
	expired  atomic.Bool   // expires has come: the shard's fanout.EndSilent means the end of the token
	pinged   atomic.Bool   // the client has sent a ping: the client timeout counts
	panicked atomic.Bool   // a call panicked
	deserted atomic.Bool   // the operating system of the client confirmed no bytes for too long
	status   atomic.Uint32 // of the Close frame, if it reports a violation; else 0
	final    atomic.Uint32 // 1 + the fanout.EndReason for which the shard ends the connection by itself; else 0
	ended    atomic.Uint32 // 1 + the fanout.EndReason of the outbox; 0 before
	halves   atomic.Uint32 // the halves that have ended

	endReason atomic.Uint32 // 1 + the hub.CloseReason for which the connection ends; 0 before
}

// busy is the lastRead of a client that waits for the server.
const busy = math.MaxInt64

// The halves of a connection.
const (
	readerHalf = 1 << iota
	writerHalf
	bothHalves = readerHalf | writerHalf
)

var (
	_ hub.Conn         = (*Conn)(nil)
	_ websocket.Reader = (*Conn)(nil)
)

// ID returns the public connection id.
func (c *Conn) ID() string { return c.id.String() }

// Protocol returns the hub protocol that the handshake chose, with compressed events where the client takes them.
func (c *Conn) Protocol() fanout.Protocol {
	if c.deflates {
		return c.protocol.Name().Deflated()
	}
	return c.protocol.Name()
}

// Features returns the extensions that the URL of the upgrade asked for.
func (c *Conn) Features() hub.Features { return c.features }

// EncodeCompletion returns the frame that carries a completion. From now on a client cannot cancel the call any more.
func (c *Conn) EncodeCompletion(completion *hub.Completion) []byte {
	if u := c.underway.Load(); u != nil {
		u.answered()
	}
	return c.protocol.Completion((*hubprotocol.Completion)(completion))
}

// EncodeNotice returns the frame that carries a notice.
func (c *Conn) EncodeNotice(n hub.Notice) []byte { return c.protocol.Notice(n.Target(), n) }

// EncodeClose returns the last frames of the connection: a Close hub message, if the reason has one, and a Close frame
// (W8, D6, D7). After a breach of the WebSocket protocol it returns a Close frame alone, whose status reports the
// breach.
func (c *Conn) EncodeClose(reason hub.CloseReason) []byte {
	c.ends(reason)
	c.release()
	status := c.status.Load()
	switch {
	case reason == hub.CloseGone:
		return nil
	case reason == hub.CloseProtocolError && status != 0:
		return websocket.AppendClose(nil, uint16(status)) //nolint:gosec // it was set from one
	}
	if text, allowReconnect, ok := reason.Message(); ok {
		if text != "" && c.h.options.Protocol.DetailedErrors {
			text += " " + c.explanation(reason)
		}
		return c.protocol.Close(text, allowReconnect)
	}
	return websocket.AppendClose(nil, websocket.StatusNormal)
}

// Warm reads the memory that TryWrite will need.
func (c *Conn) Warm() { c.socket().Warm() }

// TryWrite hands p to the socket without waiting. It does not allocate.
func (c *Conn) TryWrite(p []byte) (n int, err error) {
	u := c.unread.Load()
	if u != nil && c.holdsBack() {
		return 0, nil
	}
	n, err = c.socket().TryWrite(p)
	c.sent.Add(int64(n))
	if u != nil {
		u.wrote(n)
	}
	if err != nil {
		c.examine(err)
	}
	return n, err
}

// WriteAll hands all of p to the socket within the send timeout (W9). Before that it waits for a slow client that has
// enough to read, see unread.
func (c *Conn) WriteAll(p []byte) error {
	c.awaitClient()
	began := time.Now()
	err := c.socket().WriteAll(p, c.h.options.Timeouts.Send)
	if err == nil {
		c.sent.Add(int64(len(p)))
		err = c.wroteAll(len(p), time.Since(began))
	}
	if err != nil {
		c.examine(err)
	}
	return err
}

// Remote describes the other end of the connection.
func (c *Conn) Remote() hub.Remote {
	return hub.Remote{
		Address: c.owner.address, Agent: c.owner.agent.Value(), Received: c.received.Load(), Sent: c.sent.Load(),
	}
}

// KeepAlive returns the ping that is due, if any, and the time until the next call. ok reports whether the client is
// still alive (1.8) and its token valid.
func (c *Conn) KeepAlive(now time.Time) (frame []byte, next time.Duration, ok bool) {
	at := now.Sub(c.h.started)
	if c.resume != nil && c.resume.lostAt.Load() != 0 {
		return c.awaitSocket(at)
	}
	if c.nextPing == 0 {
		c.nextPing = at + c.h.options.Timeouts.KeepAlive
	}
	if at >= c.nextPing {
		if c.transport() != transports.LongPolling { // requests of LongPolling end in time
			frame = c.protocol.Ping()
		}
		c.nextPing = at + c.h.options.Timeouts.KeepAlive
	}
	next = c.nextPing - at
	if last := c.lastRead.Load(); last != busy && c.pinged.Load() {
		left := time.Duration(last) + c.h.options.Timeouts.Client - at
		if left <= 0 {
			return nil, 0, false
		}
		next = min(next, left)
	}
	if next, ok = c.awaitPoll(now, next); !ok {
		return nil, 0, false
	}
	if next, ok = c.untilExpiry(at, next); !ok {
		return nil, 0, false
	}
	return frame, next, true
}

// untilExpiry returns the time until the token ends the connection, at most next. ok is false once it has come.
func (c *Conn) untilExpiry(at, next time.Duration) (_ time.Duration, ok bool) {
	expires := time.Duration(c.expires.Load())
	if expires == 0 {
		return next, true
	}
	if expires <= at {
		c.expired.Store(true)
		return 0, false
	}
	return min(next, expires-at), true
}

// minExpiredLife is the least life of a connection whose token had expired when it came into force.
const minExpiredLife = 10 * time.Second

// expireWith sets the time at which the connection ends because of its token, with Options.CloseAtExpiry.
func (c *Conn) expireWith(claims *authz.Claims) {
	now := time.Now()
	c.expires.Store(int64(c.h.options.Tokens.expiry(claims.ExpiresAt, now, now.Sub(c.h.started))))
}

// expiry returns when a token ends its connection, since the start of the node; 0: never. expires and now are times of
// the wall clock, which may have been set since the start; uptime is the true time since then.
func (t *TokenOptions) expiry(expires, now time.Time, uptime time.Duration) time.Duration {
	if !t.CloseAtExpiry || expires.IsZero() {
		return 0
	}
	// The grace period is added to the time, not to the difference, which may be the longest possible one.
	left := min(expires.Add(t.ExpiryGrace).Sub(now), math.MaxInt64-uptime)
	if !expires.After(now) {
		// The verifier tolerates a difference of clocks. A client that returns with the same token must not loop.
		left = max(left, minExpiredLife)
	}
	return max(uptime+left, 1) // 0 means never
}

// Final returns the last frames of an outbox that the shard ends. The reason counts from now on, because the peer may
// answer the frames before the shard calls Ended.
func (c *Conn) Final(reason fanout.EndReason) []byte {
	c.final.Store(uint32(reason) + 1)
	c.closeAbandoned()
	return c.EncodeClose(c.closeReason(reason))
}

// finalReason returns the reason for which the shard ends the connection by itself, or the given one if it does not.
func (c *Conn) finalReason(otherwise hub.CloseReason) hub.CloseReason {
	if final := c.final.Load(); final != 0 {
		return c.closeReason(fanout.EndReason(final - 1)) //nolint:gosec // it was set from one
	}
	return otherwise
}

// closeReason returns the close reason of a session whose outbox ended for the given reason.
func (c *Conn) closeReason(reason fanout.EndReason) hub.CloseReason {
	switch reason {
	case fanout.EndSlow:
		return hub.CloseSlow
	case fanout.EndSilent:
		if c.expired.Load() {
			return hub.CloseExpired
		}
		if c.resume != nil && c.resume.lostAt.Load() != 0 {
			return hub.CloseGone
		}
		return hub.CloseSilent
	default:
		return hub.CloseGone
	}
}

// Ended ends the writer's half: the shard writes nothing more. The reader then gives the peer the close timeout.
func (c *Conn) Ended(reason fanout.EndReason) {
	c.ended.Store(uint32(reason) + 1)
	if reason == fanout.EndFailed {
		c.socket().Abort()
	} else {
		c.socket().WakeReader()
	}
	c.leave(writerHalf)
	if c.resume != nil && c.resume.unpark() {
		go c.finish()
	}
}

// Owner returns the user of the session, once it is open.
func (c *Conn) Owner() fanout.Owner {
	if !c.opened.Load() {
		return fanout.Owner{}
	}
	claims := c.session.Claims()
	return fanout.Owner{Organization: claims.Organization, User: claims.User}
}

// leave ends a half of the connection, and the connection with the second.
func (c *Conn) leave(half uint32) {
	if before := c.halves.Or(half); before == bothHalves || before|half != bothHalves {
		return
	}
	c.socket().Close()
	c.h.metrics.connections[c.metricsProtocol()].Dec()
	c.h.connections.remove(c)
}

// metricsProtocol returns the protocol under which the connection is counted.
func (c *Conn) metricsProtocol() string {
	if c.protocol == nil {
		return protocolNone
	}
	return c.protocol.Name().String()
}
