package transport

import (
	"errors"
	"io"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/transport/hubprotocol"
	"github.com/rte-server/rte-server/internal/transport/websocket"
)

// reader is the state of the goroutine that reads a connection.
type reader struct {
	phase     phase
	frames    websocket.FrameReader
	messages  hubprotocol.Splitter
	deflated  []byte        // of a compressed message that is incomplete
	claims    *authz.Claims // until the session is open
	closed    bool          // the reader has closed the session
	lingering bool          // the peer has the close timeout to end the connection
	reserved  int           // bytes of Handler.pending
	units     int           // frames and hub messages since the last read
	calls     int           // since the last read
	unitPace  pace
	callPace  pace
	pingPace  pace
	grown     bool      // the stack of the goroutine has grown
	detail    endDetail // the cause of the end
}

// phase is the progress of a connection, from the reader's view.
type phase uint8

const (
	// phaseHandshake: the next hub message is the handshake.
	phaseHandshake phase = iota
	// phaseOpen: hub messages are for the session.
	phaseOpen
	// phaseClosing: the server has closed; only a Close frame or the end of the stream counts.
	phaseClosing
	// phaseBroken: as phaseClosing, but the bytes make no sense any more and only the end of the stream counts.
	phaseBroken
	// phaseOver: nothing is read any more.
	phaseOver
	// phaseParked: the socket is lost, and another one may take over.
	phaseParked
)

// start begins to read. buffered holds the bytes that came with the request.
func (c *Conn) start(buffered []byte) {
	c.h.metrics.connections[protocolNone].Inc()
	c.h.metrics.lifetimes.began(c.transport())
	c.messages = hubprotocol.NewSplitter(min(c.h.options.Limits.MessageBytes, maxHandshake))
	c.frames.MaxFrame = uint64(c.h.options.Limits.FrameBytes) //nolint:gosec // not negative
	c.frames.Deflate = c.deflates
	go c.read(buffered)
}

// read works on the bytes in buffered, then reads until the connection is over.
//
// A connection waits nearly all the time. Where the poller can wait for its bytes, the goroutine ends meanwhile.
// Elsewhere it continues in a new goroutine after work that needed a deep stack. A stack that has grown never shrinks
// below 4 KB, a new one has 2 KB.
func (c *Conn) read(buffered []byte) {
	defer c.recover()
	if buffered != nil {
		c.consume(buffered)
		c.acknowledge()
	}
	taken := false // the last read took all there was
	for c.phase < phaseOver {
		if taken && c.readLater() {
			return
		}
		if c.grown {
			c.grown = false
			go c.read(nil)
			return
		}
		buf, n, err := c.in().Read(!c.atBoundary())
		if err != nil {
			c.readFailed(err)
			continue
		}
		c.h.metrics.receivedBytes.Add(float64(n))
		c.received.Add(int64(n))
		c.consume(buf[:n])
		taken = n < len(buf)
		c.h.buffers.Put(buf)
		c.acknowledge()
		c.throttle()
	}
	if c.phase == phaseParked {
		c.park()
		return
	}
	c.finish()
}

// atBoundary reports whether the bytes so far end with a whole frame, or, without a WebSocket, with a whole message.
func (c *Conn) atBoundary() bool {
	if c.link != nil {
		return c.messages.Pending() == 0
	}
	return c.frames.AtBoundary()
}

// finish ends the reader's half.
func (c *Conn) finish() {
	c.reserve(0)
	c.closeSession(hub.CloseGone)
	c.awaitCalls()
	c.refuseNext()
	c.reportEnd()
	c.leave(readerHalf)
	c.h.connections.readers.Done()
}

// recover ends the connection after a panic, so that a bug that one connection triggers does not end all others.
func (c *Conn) recover() {
	reason := recover()
	if reason == nil {
		return
	}
	c.logPanic(reason, zap.Stack("stack"))
	if c.session == nil {
		c.leave(writerHalf)
	}
	c.because(detailPanic)
	c.in().Abort()
	c.finish()
}

// logPanic logs a panic of the connection.
func (c *Conn) logPanic(reason any, stack zap.Field) {
	c.h.log.Error("[unexpected] connection handler panicked",
		zap.String("connection", c.ID()), zap.Any("panic", reason), stack)
}

// throttle keeps the client to its rates: the reader reads nothing for a moment, and the client's own network slows it
// down. Without it one connection could send 15 million empty frames a second, which raised the median latency of all
// others from 2 to 104 ms.
func (c *Conn) throttle() {
	now, limits := time.Since(c.h.started), c.h.limits.Load()
	units := c.unitPace.take(c.units, limits.FrameRate, now)
	calls := c.callPace.take(c.calls, limits.CallRate, now)
	c.units, c.calls = 0, 0
	wait := max(units, calls)
	if wait == 0 {
		return
	}
	if units > 0 {
		c.h.metrics.throttled[throttledFrames].Inc()
	}
	if calls > 0 {
		c.h.metrics.throttled[throttledCalls].Inc()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.h.invoking.Done():
	}
}

// touch records that the client is alive.
func (c *Conn) touch() {
	if c.lastRead.Load() != busy { // else the end of its calls does
		c.lastRead.Store(int64(time.Since(c.h.started)))
	}
}

// consume works on bytes of the client. It answers a ping after all of them. It answers only the last of several pings
// (RFC 6455 section 5.5.3), so that a flood of pings does not become a flood of pongs.
func (c *Conn) consume(p []byte) {
	if c.link != nil {
		c.receive(p)
		return
	}
	var (
		ping    []byte // payload of the last ping, in p
		answers bool
	)
	for len(p) > 0 && c.phase < phaseBroken {
		var (
			part websocket.Part
			v    websocket.Violation
		)
		if part, p, v = c.frames.Next(p); v.Status != 0 {
			c.violated(v)
			return
		}
		if c.frames.AtBoundary() {
			c.units++
		}
		switch part.Opcode {
		case websocket.OpText:
			if part.Compressed {
				c.receiveCompressed(&part)
			} else {
				c.receive(part.Payload)
			}
		case websocket.OpPing:
			ping, answers = part.Payload, c.mayPong()
		case websocket.OpPong:
			if u := c.unread.Load(); u != nil {
				u.pong(part.Payload, time.Since(c.h.started))
			}
		case websocket.OpClose:
			c.peerClosed()
		}
	}
	if answers && c.phase < phaseClosing {
		c.pong(ping)
	}
}

// mayPong reports whether the client gets an answer to a ping. It gets none if it sends pings faster than its rate.
func (c *Conn) mayPong() bool {
	if c.pingPace.allow(c.h.limits.Load().PingRate, time.Since(c.h.started)) {
		return true
	}
	c.h.metrics.throttled[throttledPings].Inc()
	return false
}

// pong answers a ping.
func (c *Conn) pong(payload []byte) {
	buf := c.h.pongs.Get().(*pongBuffer) //nolint:forcetypeassert // nothing else is in there
	c.send(websocket.AppendFrame(buf[:0], websocket.OpPong, payload))
	c.h.pongs.Put(buf)
}

// pongBuffer is the memory of a pong until a copy of it waits for the socket, or the socket has it.
type pongBuffer [2 + 125]byte

// receive works on a piece of the stream of hub messages.
func (c *Conn) receive(p []byte) {
	if c.phase == phaseHandshake && c.resumes && c.messages.Pending() == 0 && hubprotocol.IsSequence(p) {
		c.refuseElsewhere()
		return
	}
	for c.phase < phaseClosing {
		message, rest, err := c.messages.Next(p)
		if err != nil {
			c.refuseMessage(err)
			return
		}
		if message == nil {
			if !c.reserve(c.messages.Pending()) {
				c.refuseMessage(errNoMemory)
			}
			return
		}
		p = rest
		c.units++
		c.touch()
		if c.phase == phaseHandshake {
			c.handshake(message)
		} else {
			c.dispatch(message)
		}
		c.reserve(0)
	}
}

// errNoMemory means that the incomplete messages of all connections take too much memory.
var errNoMemory = errors.New("too many large messages at once")

// smallMessage is the size up to which an incomplete message needs no share of Limits.PendingBytes.
const smallMessage = 32 << 10

// reserve makes the connection hold n bytes of Limits.PendingBytes, for a large message that is incomplete or in a
// call. It returns false if there are not as many. A client that has sent half of a large message must send the rest
// within the client timeout, whether or not it has sent a ping.
func (c *Conn) reserve(n int) bool {
	if n <= smallMessage {
		n = 0
	}
	more := n - c.reserved
	if more == 0 {
		return true
	}
	if total := c.h.pending.Add(int64(more)); more > 0 && total > c.h.options.Limits.PendingBytes {
		c.h.pending.Add(int64(-more))
		return false
	}
	c.h.metrics.pending.Add(float64(more))
	c.reserved = n
	if n > 0 {
		c.pinged.Store(true)
	}
	return true
}

// dispatch acts on a hub message. It ignores messages that the server has no use for (D4, D5).
func (c *Conn) dispatch(message []byte) {
	if c.ended.Load() != 0 {
		c.phase = phaseClosing // the wake-up of Ended is on its way
		return
	}
	kind, invocation, err := c.protocol.Decode(message)
	if err != nil {
		c.refuseMessage(err)
		return
	}
	c.h.metrics.message(kind)
	if c.resume != nil && !c.sequence(kind, message) {
		return
	}
	switch kind {
	case hubprotocol.TypeInvocation, hubprotocol.TypeStreamInvocation:
		c.grown = true
		c.calls++
		c.invoke((*hub.Invocation)(invocation), len(message))
	case hubprotocol.TypeCancelInvocation:
		c.cancelCall(invocation.ID)
	case hubprotocol.TypePing:
		c.pinged.Store(true)
	case hubprotocol.TypeClose:
		c.awaitCalls()
		c.closeSession(hub.CloseByClient)
		c.phase = phaseClosing
	}
}

// send sends a control frame behind the frames sent before, and does not keep its memory. It drops the frame when too
// many frames wait already: the client gets the next one.
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
	c.awaitCalls()
	reason := detailMalformed
	switch {
	case errors.Is(err, hubprotocol.ErrTooLarge):
		reason = detailTooLarge
	case errors.Is(err, errNoMemory):
		reason = detailNoMemory
	}
	c.because(reason)
	c.h.metrics.protocolErrors[reason.String()].Inc()
	c.h.failed(c.owner.organizationUser(), reason.String())
	c.closeSession(hub.CloseProtocolError)
	c.phase = phaseClosing
}

// violated ends the connection because of a breach of RFC 6455, by a Close frame that reports it (section 7.1.7).
func (c *Conn) violated(v websocket.Violation) {
	c.awaitCalls()
	if c.phase < phaseClosing {
		c.h.metrics.protocolErrors[string(v.Kind)].Inc()
		c.because(detailOfViolation(v.Kind))
		c.h.failed(c.owner.organizationUser(), string(v.Kind))
	}
	c.status.Store(uint32(v.Status))
	before := c.phase
	c.phase = phaseBroken
	if before == phaseHandshake {
		c.handshakeFailed(handshakeViolation)
		c.hangUp(websocket.AppendClose(nil, v.Status))
	}
	c.closeSession(hub.CloseProtocolError)
}

// peerClosed acts on a Close frame. It answers the frame unless the frame is an answer itself.
func (c *Conn) peerClosed() {
	if c.phase == phaseHandshake {
		c.ends(hub.CloseByPeer)
		c.handshakeFailed(handshakeGone)
		c.hangUp(websocket.AppendClose(nil, websocket.StatusNormal))
	}
	c.awaitCalls()
	c.closeSession(hub.CloseByPeer)
	c.phase = phaseOver
}

// readFailed acts on the end of the stream and on deadlines: of the handshake, of Ended and of the close timeout.
func (c *Conn) readFailed(err error) {
	switch {
	case c.readEnded(err):
	case !websocket.IsTimeout(err):
		if errors.Is(err, io.EOF) {
			if !c.mayPark() {
				c.awaitCalls()
			}
			c.because(detailStreamEnded)
		}
		c.examine(err)
		c.because(detailReadFailed)
		c.lost()
	case c.phase == phaseHandshake:
		c.failHandshake(handshakeTimeout, textHandshakeCanceled)
	case c.phase == phaseOpen && c.ended.Load() == 0:
		c.sleepOn()
	case !c.lingering:
		c.closeSession(hub.CloseGone)
		c.linger()
	default:
		c.in().Abort()
		c.phase = phaseOver
	}
}

// examine records that a read or a write failed because the operating system of the client confirmed no bytes. The
// kernel reports this once, to the read or to the write.
func (c *Conn) examine(err error) {
	if unconfirmed(err) && !c.deserted.Swap(true) {
		c.h.metrics.unconfirmed.Inc()
	}
}

// unconfirmed reports whether a connection ended because the operating system of the peer confirmed no bytes. The
// kernel may then report an error of routers or of its own neighbor table.
func unconfirmed(err error) bool {
	return errors.Is(err, syscall.ETIMEDOUT) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH)
}

// sleepOn continues after a wake-up for a connection without a session that came too late.
func (c *Conn) sleepOn() {
	c.in().ClearReadDeadline()
	if c.ended.Load() != 0 {
		c.in().WakeReader() // the outbox ended meanwhile, and its wake-up may have been cleared
	}
}

// lost ends a connection whose socket is of no use any more.
func (c *Conn) lost() {
	c.in().Close() // a write that waits ends, too
	c.release()
	if c.mayPark() {
		c.session.Outbox().Lost(c.resume.socket)
		c.phase = phaseParked
		return
	}
	if c.phase == phaseHandshake {
		c.handshakeFailed(handshakeGone)
		c.leave(writerHalf)
	}
	c.closeSession(hub.CloseGone)
	c.phase = phaseOver
}

// closeSession closes the session, if there is one, once. The reader's reason counts, unless the shard ended the
// connection first: then the peer's Close frame is only an answer.
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
		c.in().Abort()
	}
	c.leave(writerHalf)
	c.linger()
}

// linger gives the peer time to end the connection after the last frames. Closing it at once could destroy bytes that
// are still on their way (RFC 6455 section 7.1.1). In phaseBroken an answer would make no sense, so the outgoing
// stream ends.
func (c *Conn) linger() {
	c.phase = max(c.phase, phaseClosing)
	c.lingering = true
	c.in().SetReadTimeout(c.h.options.Timeouts.Close)
	if c.phase == phaseBroken {
		c.in().CloseWrite()
	}
}
