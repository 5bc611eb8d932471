package transport

import (
	"context"
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

// takeoverRate bounds the sockets per second that take over one connection, as Limits.FrameRate bounds frames. Each of
// them gets again what its client has not acknowledged. Beyond the rate the client makes a new connection.
const takeoverRate = 20

// resume is the part of a connection that lets it continue on another socket (stateful reconnect, 1.11).
type resume struct {
	lostAt    atomic.Int64 // when the socket was lost, since h.started; 0: there is a socket
	confirmed atomic.Bool  // a message has come since the handshake: the client has its answer

	waiting atomic.Pointer[handover] // the latest socket that waits for the client's Sequence; nil: there was none

	// Owned by the reader goroutine.
	sock   *websocket.Socket // that it reads
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
	pace     pace       // of sockets that take over
}

// Resumes reports whether the connection may continue on another socket.
func (c *Conn) Resumes() bool { return c.resume != nil }

// socket returns the socket of the connection.
func (c *Conn) socket() *websocket.Socket { return c.sock.Load() }

// in returns the socket that the reader reads. The shard may have replaced it as the socket of the connection.
func (c *Conn) in() *websocket.Socket {
	if r := c.resume; r != nil {
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

// farewellTime is how long another socket waits for the end of the one before. farewellStep is the time between two
// looks at it.
const (
	farewellTime = 100 * time.Millisecond
	farewellStep = 5 * time.Millisecond
)

// awaitFarewell lets the last words of the client on its old socket arrive before another one takes over: it may have
// ended the connection. A JavaScript client that gives its connection up, because the server was silent for too long,
// closes its socket, and then opens another one for the same connection by mistake. See handover.await.
func (h *Handler) awaitFarewell(ctx context.Context, u *upgrade) {
	ticker := time.NewTicker(farewellStep)
	defer ticker.Stop()
	for began := time.Now(); h.hasSocket(u) && time.Since(began) < farewellTime; {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// hasSocket reports whether the connection that an upgrade wants to continue has a socket, as far as this node knows.
func (h *Handler) hasSocket(u *upgrade) bool {
	if !u.returns {
		return false
	}
	c := h.connections.resumable(u.token.id)
	return c != nil && c.resume.lostAt.Load() == 0 && c.endReason.Load() == 0
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
	if !c.resume.confirmed.Load() || !c.session.Outbox().Resumable() {
		// The client has given its socket up. A JavaScript client without the answer to its handshake would take the next
		// message for it.
		c.session.Close(hub.CloseGone)
		return admitted{}, refusedUnknownID, false
	}
	if !c.resume.mayTakeOver(time.Since(h.started)) {
		return admitted{}, refusedTakeovers, false
	}
	h.refresh.Lock()
	changed, _, _ := h.replaceClaimsLocked(c, claims) // fails only if the session ends: then Attach refuses the socket
	h.refresh.Unlock()
	return admitted{c: c, again: true, changed: changed}, 0, true
}

// mayTakeOver reports whether the rate allows another socket.
func (r *resume) mayTakeOver(now time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pace.allow(takeoverRate, now)
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
		go next.read() // a call would take more of the stack with each socket
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

// sequence acts on the numbers of a hub message, and on Ack and Sequence messages. It reports whether the message is to
// be processed: it is new, and the client's Sequence has come.
func (c *Conn) sequence(kind hubprotocol.MessageType, message []byte) (process bool) {
	r := c.resume
	if !r.confirmed.Load() {
		r.confirmed.Store(true)
	}
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
