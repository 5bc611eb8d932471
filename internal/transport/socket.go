package transport

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// readBytes is the size of a read buffer. Most of what clients send is pings and calls of a few hundred bytes.
const readBytes = 4 << 10

// readBuffer is what the bytes of one read are put into. It is held only while there are bytes to work on.
type readBuffer [readBytes]byte

// readBuffers are shared by all connections of a handler.
type readBuffers struct{ pool sync.Pool }

func (b *readBuffers) get() *readBuffer {
	if buf, ok := b.pool.Get().(*readBuffer); ok {
		return buf
	}
	return new(readBuffer)
}

func (b *readBuffers) put(buf *readBuffer) { b.pool.Put(buf) }

// sendPiece is how much of a long write has to be taken by the peer within the send timeout. It is what ASP.NET Core
// lets pile up before a socket (W9), so a slow line is judged by its pace and not by how much happened to wait.
const sendPiece = 64 << 10

// socket is a net.Conn that waits for bytes without a buffer and writes without waiting. Where the connection is not a
// plain one of an operating system that allows it, such as TLS ended in this process, raw is nil: it then waits with a
// buffer of one byte, and tryWrite takes nothing, which leaves all writing to writeAll.
type socket struct {
	conn    net.Conn
	raw     syscall.RawConn
	buffers *readBuffers

	// Owned by the goroutine that reads.
	readFunc func(fd uintptr) bool
	in       *readBuffer
	inLen    int
	inErr    error

	// For tryWrite, if raw is not nil.
	fd    int          // good until conn is closed
	guard atomic.Int32 // a socketState: keeps conn from being closed, and fd from naming another file, during a write
}

// socketState is what guard says.
type socketState = int32

const (
	socketOpen socketState = iota
	socketWriting
	socketClosing // somebody wants it closed; whoever is writing does it
	socketClosed
)

func newSocket(conn net.Conn, buffers *readBuffers) *socket {
	s := &socket{conn: conn, buffers: buffers}
	if s.raw, s.fd = rawConn(conn); s.raw != nil {
		s.readFunc = s.readNow
	}
	return s
}

// read waits for bytes. The caller gives the buffer back. expecting says that more bytes must come soon, because a
// frame is not complete. The error is io.EOF at the end.
func (s *socket) read(expecting bool) (buf *readBuffer, n int, err error) {
	if s.raw == nil {
		return s.readPlain(expecting)
	}
	err = s.raw.Read(s.readFunc)
	buf, n = s.in, s.inLen
	s.in = nil
	if err == nil {
		err = s.inErr
	}
	if err != nil && buf != nil {
		s.buffers.put(buf)
		buf = nil
	}
	return buf, n, err
}

// readPlain parks with one byte between frames, and takes a buffer for the rest.
func (s *socket) readPlain(expecting bool) (buf *readBuffer, n int, err error) {
	var first [1]byte
	if !expecting {
		if _, err := s.conn.Read(first[:]); err != nil {
			return nil, 0, err
		}
		buf = s.buffers.get()
		buf[0] = first[0]
		return buf, 1, nil
	}
	buf = s.buffers.get()
	if n, err = s.conn.Read(buf[:]); n == 0 {
		s.buffers.put(buf)
		return nil, 0, err
	}
	return buf, n, nil
}

// tryWrite hands p to the socket without waiting. n < len(p) with a nil error says that the socket is full. It does
// not allocate.
//
// It goes around net and its poller, which would lock and look into three more objects: with thousands of sockets each of
// those is out of the processor's cache when its turn comes.
func (s *socket) tryWrite(p []byte) (n int, err error) {
	if s.raw == nil {
		return 0, nil
	}
	if !s.guard.CompareAndSwap(socketOpen, socketWriting) {
		return 0, net.ErrClosed
	}
	n, err = writeNow(s.fd, p)
	s.written()
	return n, err
}

// written ends what tryWrite did, and closes the connection if that was wanted meanwhile.
func (s *socket) written() {
	if !s.guard.CompareAndSwap(socketWriting, socketOpen) {
		s.guard.Store(socketClosed)
		_ = s.conn.Close() // there is nobody left to tell
	}
}

// shut closes the connection, or, while tryWrite is at work, lets that do it.
func (s *socket) shut() {
	for {
		switch state := s.guard.Load(); state {
		case socketOpen:
			if s.guard.CompareAndSwap(state, socketClosed) {
				_ = s.conn.Close() // there is nobody left to tell
				return
			}
		case socketWriting:
			if s.guard.CompareAndSwap(state, socketClosing) {
				return
			}
		default:
			return
		}
	}
}

// writeAll hands all of p to the socket. Every sendPiece of it may take as long as the timeout.
func (s *socket) writeAll(p []byte, timeout time.Duration) error {
	for len(p) > 0 {
		piece := p[:min(len(p), sendPiece)]
		if err := s.conn.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
			return err
		}
		if _, err := s.conn.Write(piece); err != nil {
			return err
		}
		p = p[len(piece):]
	}
	return s.conn.SetWriteDeadline(time.Time{})
}

// setReadDeadline lets reads fail after a time from now.
func (s *socket) setReadDeadline(d time.Duration) { s.readUntil(time.Now().Add(d)) }

// clearReadDeadline lets reads wait for as long as it takes.
func (s *socket) clearReadDeadline() { s.readUntil(time.Time{}) }

// wakeReader lets the read that waits, or the next one, fail at once. Any goroutine may call it.
func (s *socket) wakeReader() { s.readUntil(time.Unix(1, 0)) }

func (s *socket) readUntil(t time.Time) {
	_ = s.conn.SetReadDeadline(t) // fails only when the connection is closed, which the next read tells
}

// closeWrite ends what is sent, and leaves open what is received.
func (s *socket) closeWrite() {
	if conn, ok := s.conn.(interface{ CloseWrite() error }); ok {
		_ = conn.CloseWrite() // fails only when the connection is closed, which the next read tells
	}
}

// close closes the connection; what was written still goes out. Any goroutine may call it, also again.
func (s *socket) close() { s.shut() }

// abort closes the connection and drops what the peer has not taken yet. Any goroutine may call it, also again.
func (s *socket) abort() {
	conn := s.conn
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok { // TLS
		conn = t.NetConn()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // the connection is closed whether or not this works
	}
	if conn != s.conn {
		_ = conn.Close() // without the farewell of TLS, which could wait
		return
	}
	s.shut()
}

// isTimeout says whether a read ended because of its deadline.
func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
