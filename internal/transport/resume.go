package transport

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/transport/hubprotocol"
	"github.com/rte-server/rte-server/internal/transport/websocket"
)

// resumeVersion is the lowest version of the handshake with which a client may use stateful reconnect (1.11).
const resumeVersion = 2

// resume is the part of a connection that lets it continue on another socket (stateful reconnect, 1.11).
type resume struct {
	lostAt atomic.Int64 // when the socket was lost, since h.started; 0: there is a socket

	// Owned by the reader goroutine.
	sock   *websocket.Socket // that it reads; nil: the first one
	socket uint64            // the place of sock in the order of attached sockets
	awaits bool              // nothing counts before the client's Sequence
	number uint64            // of the last numbered message

	// Written by the reader, read by its calls.
	received atomic.Uint64 // the highest number of a message that was processed, or is that of a call under way
	acked    atomic.Uint64 // the highest number that was acknowledged; the calls write it, too

	mu       sync.Mutex // guards the following fields
	attached uint64     // sockets
	parked   bool       // no goroutine reads
	next     *handover  // the socket of the next reader goroutine, which waits for the present one; nil: none
}

// Resumes reports whether the connection may continue on another socket.
func (c *Conn) Resumes() bool { return c.resume != nil }

// socket returns the socket of the connection.
func (c *Conn) socket() *websocket.Socket { return c.sock.Load() }

// in returns the socket that the reader reads. The shard may have replaced it as the socket of the connection.
func (c *Conn) in() *websocket.Socket {
	if r := c.resume; r != nil && r.sock != nil {
		return r.sock
	}
	return c.socket()
}

// abort ends the connection at once.
func (c *Conn) abort() {
	c.socket().Abort()
	if c.opened.Load() && c.resume != nil {
		c.session.Close(hub.CloseGone)
	}
}

// Sequence returns the frame that names the number of the first frame that is sent again.
func (c *Conn) Sequence(number uint64) []byte { return c.protocol.Sequence(number) }

// Lost closes the socket, so that the reader notices the loss, too.
func (c *Conn) Lost() {
	c.resume.lostAt.CompareAndSwap(0, int64(time.Since(c.h.started)))
	c.socket().Abort()
	c.release()
}

// awaitSocket is KeepAlive while there is no socket.
func (c *Conn) awaitSocket(at time.Duration) (frame []byte, next time.Duration, ok bool) {
	next = time.Duration(c.resume.lostAt.Load()) + c.h.options.Resume.Window - at
	if next <= 0 {
		return nil, 0, false
	}
	next, ok = c.untilExpiry(at, next)
	return nil, next, ok
}

// admitAgain lets another socket take over a connection of this node. Its token is checked as that of any request, and
// comes into force unless it ends earlier than the one in force. A token of another user changes nothing.
func (h *Handler) admitAgain(c *Conn, claims *authz.Claims) (admitted, refusal, bool) {
	if before := c.session.Claims(); before.User != claims.User || before.Organization != claims.Organization {
		return admitted{}, refusedOtherUser, false
	}
	if c.endReason.Load() != 0 {
		return admitted{}, refusedUnknownID, false
	}
	if !c.session.Outbox().Resumable() {
		c.session.Close(hub.CloseGone) // the client has given its socket up
		return admitted{}, refusedUnknownID, false
	}
	h.refresh.Lock()
	changed, _, _ := h.replaceClaimsLocked(c, claims) // fails only if the session ends: then Attach refuses the socket
	h.refresh.Unlock()
	return admitted{c: c, again: true, changed: changed}, 0, true
}

// refuseElsewhere ends a socket with which a client wants to continue a connection of another node. The client tries
// once more, with a token that is used up here, and then makes a new connection.
func (c *Conn) refuseElsewhere() {
	c.handshakeFailed(handshakeElsewhere)
	c.hangUp(websocket.AppendClose(nil, websocket.StatusNormal))
}

// mayPark reports whether the connection waits for another socket after the loss of the one that the reader reads.
func (c *Conn) mayPark() bool {
	return c.phase == phaseOpen && c.resume != nil && !c.closed && c.endReason.Load() == 0 && c.ended.Load() == 0
}

// park ends the reader goroutine of a lost socket. The reader of the next one starts, now or later.
func (c *Conn) park() {
	r := c.resume
	r.mu.Lock()
	next := r.next
	r.next = nil
	r.parked = next == nil && c.ended.Load() == 0
	parked := r.parked
	r.mu.Unlock()
	switch {
	case next != nil:
		next.read()
	case !parked:
		c.finish()
	}
}

// unpark reports whether no goroutine reads, and makes the caller responsible for the reader's half.
func (r *resume) unpark() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	parked := r.parked
	r.parked = false
	return parked
}

// refuseNext closes the socket that waits for the reader, when the connection ends.
func (c *Conn) refuseNext() {
	if c.resume == nil {
		return
	}
	c.resume.mu.Lock()
	next := c.resume.next
	c.resume.next = nil
	c.resume.mu.Unlock()
	if next != nil {
		next.Refuse()
	}
}

// handover is a socket that takes over a connection. It implements fanout.Attachment.
type handover struct {
	c        *Conn
	sock     *websocket.Socket
	buffered []byte // bytes that the client has sent already
	place    uint64 // in the order of attached sockets
}

// Attach makes the connection write to the socket, and the reader read it once it is done with the one before.
func (t *handover) Attach() {
	c, r := t.c, t.c.resume
	c.sock.Store(t.sock)
	c.unread.Store(nil) // pings that were on their way never come back
	c.nextPing = 0
	if last := c.lastRead.Load(); last != busy {
		c.lastRead.CompareAndSwap(last, int64(time.Since(c.h.started)))
	}
	r.lostAt.Store(0)
	r.mu.Lock()
	r.attached++
	t.place = r.attached
	parked := r.parked
	r.parked = false
	if !parked {
		r.next = t
	}
	r.mu.Unlock()
	if parked {
		go t.read()
	}
}

// Refuse closes the socket: the connection has ended.
func (t *handover) Refuse() { t.sock.Abort() }

// read reads the socket. It begins with a new stream of frames: the client's first message is a Sequence.
func (t *handover) read() {
	c, r := t.c, t.c.resume
	r.sock, r.socket, r.awaits = t.sock, t.place, true
	r.acked.Store(0)
	c.reserve(0)
	c.frames = websocket.FrameReader{MaxFrame: c.frames.MaxFrame}
	c.messages = hubprotocol.NewSplitter(c.h.options.Limits.MessageBytes)
	c.messages.Switch(c.protocol, c.h.options.Limits.MessageBytes)
	c.phase, c.detail, c.grown = phaseOpen, detailNone, false
	c.read(t.buffered)
}

// sequence acts on the numbers of a hub message, and on Ack and Sequence messages. It reports whether the message is to
// be processed: it is new, and the client's Sequence has come.
func (c *Conn) sequence(kind hubprotocol.MessageType, message []byte) (process bool) {
	r := c.resume
	switch kind {
	case hubprotocol.TypeAck, hubprotocol.TypeSequence:
		number, err := c.protocol.DecodeNumber(message)
		switch {
		case err != nil:
			c.refuseMessage(err)
		case kind == hubprotocol.TypeAck:
			c.session.Outbox().Acknowledge(number)
		case number == 0 || number > r.received.Load()+1:
			c.refuseMessage(hubprotocol.ErrMalformed) // messages are missing
		default:
			r.number, r.awaits = number-1, false
		}
		return false
	case hubprotocol.TypeInvocation, hubprotocol.TypeStreamItem, hubprotocol.TypeCompletion,
		hubprotocol.TypeStreamInvocation, hubprotocol.TypeCancelInvocation:
		if r.awaits {
			return false
		}
		if r.number++; r.number <= r.received.Load() {
			return false
		}
		r.received.Store(r.number)
		return true
	case hubprotocol.TypeClose:
		return true
	default:
		return !r.awaits
	}
}

// acknowledge acknowledges the messages that were processed since the last time. Clients call seldom, so an Ack for
// each read, and for each call, costs less than a timer. The reader calls it, and the last of its calls.
func (c *Conn) acknowledge() {
	r := c.resume
	if r == nil || c.underway.Load() != nil {
		return
	}
	received, acked := r.received.Load(), r.acked.Load()
	if received == acked || !r.acked.CompareAndSwap(acked, received) {
		return
	}
	if !c.session.Send(c.protocol.Ack(received)) {
		r.acked.CompareAndSwap(received, acked)
	}
}
