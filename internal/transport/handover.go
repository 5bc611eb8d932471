package transport

import (
	"bytes"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/transport/hubprotocol"
	"github.com/rte-server/rte-server/internal/transport/websocket"
)

// handover is a socket that takes over a connection. It implements fanout.Attachment.
type handover struct {
	c        *Conn
	sock     *websocket.Socket
	buffered []byte // bytes that the client has sent already
	place    uint64 // in the order of attached sockets

	unclaimed bool // the Sequence should have come
}

// await begins to wait for the client's Sequence: only then the socket takes over. Until then the connection keeps the
// socket that it has, and the client gets no message on this one. A JavaScript client that has given its connection up,
// because the server was silent for too long, opens this socket by mistake. It sends nothing on it, and takes every
// message for the answer to the handshake of the connection that it makes meanwhile. When this socket ends, it gives up
// that connection, too: so the socket stays.
func (t *handover) await() {
	if before := t.c.resume.waiting.Swap(t); before != nil {
		before.Refuse()
	}
	if !t.c.h.connections.await(t, t.c.h.options.Timeouts.Handshake) {
		t.Refuse()
		return
	}
	go func() {
		defer t.end()
		defer t.recover()
		if !t.awaitSequence() {
			t.Refuse()
			return
		}
		if !t.c.resume.waiting.CompareAndSwap(t, nil) {
			return // the next socket came meanwhile, and has closed this one
		}
		t.sock.ClearReadDeadline()
		t.c.session.Outbox().Attach(t)
	}()
}

// end is the end of the wait.
func (t *handover) end() {
	t.c.h.connections.awaited(t)
	if t.unclaimed {
		t.c.h.metrics.unclaimed.Set(float64(t.c.h.connections.unclaimedSockets()))
	}
}

// recover closes the socket after a panic, so that a bug that one client triggers does not end all others.
func (t *handover) recover() {
	if reason := recover(); reason != nil {
		t.c.logPanic(reason, zap.Stack("stack"))
		t.Refuse()
	}
}

// awaitSequence reads until the client's Sequence has come, or a Close message, and reports whether one has. The reader
// of the connection gets the bytes again.
func (t *handover) awaitSequence() bool {
	c := t.c
	frames := websocket.FrameReader{MaxFrame: uint64(c.h.options.Limits.FrameBytes)} //nolint:gosec // not negative
	messages := hubprotocol.NewSplitter(smallMessage)
	messages.Switch(c.protocol, smallMessage)
	for fresh := t.buffered; len(t.buffered) <= smallMessage; {
		came, ok := c.findSequence(&frames, &messages, bytes.Clone(fresh))
		if came || !ok {
			return came
		}
		fresh = nil
		buf, n, err := t.sock.Read(!frames.AtBoundary())
		if websocket.IsTimeout(err) && t.staysOpen() {
			continue
		}
		if err != nil {
			return false
		}
		c.h.metrics.receivedBytes.Add(float64(n))
		c.received.Add(int64(n))
		begin := len(t.buffered)
		t.buffered = append(t.buffered, buf[:n]...)
		fresh = t.buffered[begin:]
		c.h.buffers.Put(buf)
	}
	return false
}

// staysOpen keeps the socket open for an interval of pings. Libraries answer them and do not show them to their users,
// and proxies see a socket in use.
func (t *handover) staysOpen() bool {
	h := t.c.h
	if !h.connections.stay(t, h.options.Timeouts.KeepAlive) {
		return false
	}
	h.metrics.unclaimed.Set(float64(h.connections.unclaimedSockets()))
	return t.sock.WriteAll(websocket.AppendFrame(nil, websocket.OpPing, nil), h.options.Timeouts.Send) == nil
}

// findSequence reports whether bytes of the client, which it changes, contain the end of its Sequence or of a Close
// message. ok is false if the client has ended the socket, or breaks the protocol.
func (c *Conn) findSequence(frames *websocket.FrameReader, messages *hubprotocol.Splitter, p []byte) (found, ok bool) {
	for len(p) > 0 {
		part, rest, v := frames.Next(p)
		if v.Status != 0 || part.Opcode == websocket.OpClose {
			return false, false
		}
		p = rest
		if part.Opcode != websocket.OpText {
			continue
		}
		for payload := part.Payload; ; {
			message, rest, err := messages.Next(payload)
			if err != nil {
				return false, false
			}
			if message == nil {
				break
			}
			payload = rest
			kind, _, err := c.protocol.Decode(message)
			if err != nil {
				return false, false
			}
			if kind == hubprotocol.TypeSequence || kind == hubprotocol.TypeClose {
				return true, true
			}
		}
	}
	return false, true
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

// Refuse closes the socket: the connection has ended, or the client does not want it.
func (t *handover) Refuse() { t.sock.Abort() }

// read reads the socket. It begins with a new stream of frames.
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
