package transport

import (
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/hub"
)

// reader is what the goroutine of a connection that reads keeps.
type reader struct {
	phase     phase
	frames    frameReader
	messages  splitter
	claims    *authz.Claims // until the session is open
	closed    bool          // the session was closed by the reader
	lingering bool          // the peer has the close timeout to end the connection
	grown     bool          // the stack of the goroutine has grown
}

// phase is how far a connection is, as the reader sees it.
type phase uint8

const (
	// phaseHandshake: the next hub message is the handshake.
	phaseHandshake phase = iota
	// phaseOpen: hub messages are for the session.
	phaseOpen
	// phaseClosing: the server has closed; only a Close frame or the end of the stream counts.
	phaseClosing
	// phaseDeaf: as phaseClosing, but the bytes make no sense any more and only the end of the stream counts.
	phaseDeaf
	// phaseOver: nothing is read any more.
	phaseOver
)

// start begins to read. buffered is what came with the request.
func (c *Conn) start(buffered []byte) {
	c.h.metrics.connections[protocolNone].Inc()
	c.messages = splitter{take: takeJSON, limit: c.h.options.MaxMessageBytes}
	c.frames.maxFrame = uint64(c.h.options.MaxFrameBytes) //nolint:gosec // not negative
	go c.read(buffered)
}

// read works on bytes that have come and then reads until the connection is over.
//
// It goes on in a new goroutine after work that needed a deep stack: a stack that has grown does not shrink below 4 KB
// any more, a new one has 2 KB, and waiting is what a connection does nearly all the time.
func (c *Conn) read(buffered []byte) {
	defer c.survive()
	if buffered != nil {
		c.consume(buffered)
	}
	for c.phase != phaseOver {
		if c.grown {
			c.grown = false
			go c.read(nil)
			return
		}
		buf, n, err := c.sock.read(!c.frames.atBoundary())
		if err != nil {
			c.readFailed(err)
			continue
		}
		c.h.metrics.receivedBytes.Add(float64(n))
		c.touch()
		c.consume(buf[:n])
		c.h.buffers.put(buf)
	}
	c.finish()
}

// finish ends the reader's half.
func (c *Conn) finish() {
	c.closeSession(hub.CloseGone)
	c.leave(readerHalf)
	c.h.registry.readers.Done()
}

// survive keeps a mistake of this program that one connection brought to light from ending all others.
func (c *Conn) survive() {
	reason := recover()
	if reason == nil {
		return
	}
	c.h.log.Error("[unexpected] connection handler panicked",
		zap.String("connection", c.ID()), zap.Any("panic", reason), zap.Stack("stack"))
	if c.session == nil {
		c.leave(writerHalf)
	}
	c.sock.abort()
	c.finish()
}

// touch notes that the client is alive.
func (c *Conn) touch() { c.lastRead.Store(int64(time.Since(c.h.started))) }

// consume works on bytes of the client. It answers a ping when all of them are dealt with, and of several pings the
// last one only (RFC 6455 section 5.5.3), so that a flood of them does not become one of pongs.
func (c *Conn) consume(p []byte) {
	var pong []byte
	for len(p) > 0 && c.phase < phaseDeaf {
		var (
			part framePart
			v    violation
		)
		if part, p, v = c.frames.next(p); v.status != 0 {
			c.violated(v)
			return
		}
		switch part.opcode {
		case opText:
			c.receive(part.payload)
		case opPing:
			pong = makeFrame(opPong, part.payload)
		case opClose:
			c.peerClosed()
		}
	}
	if pong != nil && c.phase < phaseClosing {
		c.send(pong)
	}
}

// receive works on a piece of the stream of hub messages.
func (c *Conn) receive(p []byte) {
	for c.phase < phaseClosing {
		message, rest, err := c.messages.next(p)
		if err != nil {
			c.refuseMessage(err)
			return
		}
		if message == nil {
			return
		}
		p = rest
		if c.phase == phaseHandshake {
			c.handshake(message)
		} else {
			c.dispatch(message)
		}
	}
}

// dispatch acts on a hub message. Messages that the server has no use for are ignored (D4, D5).
func (c *Conn) dispatch(message []byte) {
	if c.ended.Load() != 0 {
		c.phase = phaseClosing // the wake-up of Ended is on its way
		return
	}
	kind, invocation, err := c.protocol.decode(message)
	if err != nil {
		c.refuseMessage(err)
		return
	}
	c.h.metrics.message(kind)
	switch kind {
	case messageInvocation, messageStreamInvocation:
		c.grown = true
		c.lastRead.Store(busy) // the client timeout is paused meanwhile (1.8)
		c.session.Invoke(c.h.invoking, invocation)
		c.touch()
	case messagePing:
		c.pinged.Store(true)
	case messageClose:
		c.closeSession(hub.CloseByClient)
		c.phase = phaseClosing
	}
}

// send sends a control frame behind what was sent before. When too much waits already it is left out: the client gets
// the next one.
func (c *Conn) send(frame []byte) {
	if c.session != nil {
		c.session.Send(frame)
		return
	}
	if err := c.WriteAll(frame); err != nil {
		c.lost()
	}
}

// refuseMessage ends the connection because of a hub message (D7, D8), or because the handshake is too long (1.5).
func (c *Conn) refuseMessage(err error) {
	if c.phase == phaseHandshake {
		c.failHandshake(handshakeTooLarge, textHandshakeCanceled)
		return
	}
	reason := protocolErrorMalformed
	if errors.Is(err, errTooLarge) {
		reason = protocolErrorTooLarge
	}
	c.h.metrics.protocolErrors[reason].Inc()
	c.closeSession(hub.CloseProtocolError)
	c.phase = phaseClosing
}

// violated ends the connection because of what the client did against RFC 6455, by a Close frame that says so
// (section 7.1.7).
func (c *Conn) violated(v violation) {
	if c.phase < phaseClosing {
		c.h.metrics.protocolErrors[string(v.what)].Inc()
	}
	c.status.Store(uint32(v.status))
	before := c.phase
	c.phase = phaseDeaf
	if before == phaseHandshake {
		c.h.metrics.handshakesFailed[handshakeViolation].Inc()
		c.hangUp(appendCloseFrame(nil, v.status))
	}
	c.closeSession(hub.CloseProtocolError)
}

// peerClosed acts on a Close frame. It is answered unless it is an answer itself.
func (c *Conn) peerClosed() {
	if c.phase == phaseHandshake {
		c.h.metrics.handshakesFailed[handshakeGone].Inc()
		c.hangUp(appendCloseFrame(nil, statusNormal))
	}
	c.closeSession(hub.CloseByPeer)
	c.phase = phaseOver
}

// readFailed acts on the end of the stream and on deadlines: of the handshake, of Ended and of the close timeout.
func (c *Conn) readFailed(err error) {
	switch {
	case !isTimeout(err):
		c.lost()
	case c.phase == phaseHandshake:
		c.failHandshake(handshakeTimeout, textHandshakeCanceled)
	case c.phase == phaseOpen && c.ended.Load() == 0:
		c.sleepOn()
	case !c.lingering:
		c.closeSession(hub.CloseGone)
		c.linger()
	default:
		c.sock.abort()
		c.phase = phaseOver
	}
}

// sleepOn goes on after a wake-up that was meant for a connection without a session, and came too late.
func (c *Conn) sleepOn() {
	c.sock.clearReadDeadline()
	if c.ended.Load() != 0 {
		c.sock.wakeReader() // the outbox ended meanwhile, and its wake-up may have been cleared
	}
}

// lost ends a connection whose socket is of no use any more.
func (c *Conn) lost() {
	c.sock.close() // a write that waits ends, too
	if c.phase == phaseHandshake {
		c.h.metrics.handshakesFailed[handshakeGone].Inc()
		c.leave(writerHalf)
	}
	c.closeSession(hub.CloseGone)
	c.phase = phaseOver
}

// closeSession closes the session, if there is one, once. What the reader has found out counts unless the shard was
// first: a peer that closes then only answers.
func (c *Conn) closeSession(reason hub.CloseReason) {
	if c.session != nil && !c.closed {
		c.closed = true
		c.session.Close(c.finalReason(reason))
	}
}

// hangUp sends the last frames of a connection without a session, and lingers for the peer.
func (c *Conn) hangUp(final []byte) {
	c.greeted.Store(true)
	if err := c.WriteAll(final); err != nil {
		c.sock.abort()
	}
	c.leave(writerHalf)
	c.linger()
}

// linger gives the peer time to end the connection, now that all has been said: closing it at once could destroy what
// is still on its way (RFC 6455 section 7.1.1). A peer whose answer would not be understood gets the end of the stream.
func (c *Conn) linger() {
	c.phase = max(c.phase, phaseClosing)
	c.lingering = true
	c.sock.setReadDeadline(c.h.options.CloseTimeout)
	if c.phase == phaseDeaf {
		c.sock.closeWrite()
	}
}
