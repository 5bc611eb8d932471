package websocket

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// readBytes is the size of a read buffer. Clients mostly send pings, and calls of a few hundred bytes.
const readBytes = 4 << 10

// ReadBuffer holds the bytes of one read. A connection holds one only while there are bytes to work on.
type ReadBuffer [readBytes]byte

// ReadBuffers is a pool of read buffers for many sockets. Its zero value is ready for use by any goroutine.
type ReadBuffers struct{ pool sync.Pool }

// Get returns a buffer.
func (b *ReadBuffers) Get() *ReadBuffer {
	if buf, ok := b.pool.Get().(*ReadBuffer); ok {
		return buf
	}
	return new(ReadBuffer)
}

// Put gives back a buffer that Get or Socket.Read returned.
func (b *ReadBuffers) Put(buf *ReadBuffer) { b.pool.Put(buf) }

// sendPiece is how much of a long write the peer has to take within the send timeout. ASP.NET Core lets as much pile up
// before a socket (W9). So the pace of a slow line counts, and not the amount that happened to wait.
const sendPiece = 64 << 10

// Socket is a net.Conn that waits for bytes without a buffer and writes without waiting. It can do both only on a plain
// connection of an operating system that allows it (see Direct). On any other connection, such as TLS in this process,
// it waits with a buffer of one byte, and TryWrite takes nothing, which leaves all writing to WriteAll.
//
// It makes its own system calls: a read through net needs a buffer while it waits, 4 KB for each connection or 400 MB
// for 100,000.
//
// One goroutine may read and one may write at a time. Any goroutine may call Close, Abort and WakeReader.
type Socket struct {
	// For TryWrite, together at the beginning: a write then misses the processor's cache once.
	raw   syscall.RawConn // nil: the connection is not direct
	fd    int             // if raw is not nil; valid until conn is closed
	guard atomic.Int32    // a socketState: prevents that conn is closed, and fd reused, during a write

	reading atomic.Int32 // a readerState

	conn    net.Conn
	buffers *ReadBuffers

	// Owned by the goroutine that reads.
	readFunc func(fd uintptr) bool
	in       *ReadBuffer
	inLen    int
	inErr    error
	poller   *Poller // of the reader that waits by ReadLater
	reader   Reader  // that waits
	goOn     func()  // reader.ReadOn
	polled   bool    // the kernel knows the socket from an earlier wait
}

// socketState is a value of Socket.guard.
type socketState = int32

const (
	socketOpen socketState = iota
	socketWriting
	socketClosing // the goroutine that writes closes the connection when it is done
	socketClosed
)

// NewSocket returns the socket of a connection, which it owns from now on. On Linux it bounds what the kernel keeps of
// the bytes that the peer has not taken: such bytes can no longer be replaced by newer ones.
func NewSocket(conn net.Conn, buffers *ReadBuffers) *Socket {
	s := &Socket{conn: conn, buffers: buffers}
	boundSend(conn)
	if s.raw, s.fd = rawConn(conn); s.raw != nil {
		s.readFunc = s.readNow
	}
	return s
}

// Direct reports whether the socket reads and writes around net: it then waits without a buffer, and TryWrite works.
func (s *Socket) Direct() bool { return s.raw != nil }

// RemoteAddr returns the address of the peer.
func (s *Socket) RemoteAddr() net.Addr { return s.conn.RemoteAddr() }

// Read waits for bytes. The caller gives the buffer back with ReadBuffers.Put. expecting means that the rest of a frame
// must arrive soon. The error at the end of the stream is io.EOF; see also IsTimeout.
func (s *Socket) Read(expecting bool) (buf *ReadBuffer, n int, err error) {
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
		s.buffers.Put(buf)
		buf = nil
	}
	return buf, n, err
}

// readPlain waits with one byte between frames, and with a buffer inside a frame.
func (s *Socket) readPlain(expecting bool) (buf *ReadBuffer, n int, err error) {
	var first [1]byte
	if !expecting {
		if _, err := s.conn.Read(first[:]); err != nil {
			return nil, 0, err
		}
		buf = s.buffers.Get()
		buf[0] = first[0]
		return buf, 1, nil
	}
	buf = s.buffers.Get()
	if n, err = s.conn.Read(buf[:]); n == 0 {
		s.buffers.Put(buf)
		return nil, 0, err
	}
	return buf, n, nil
}

// Warm reads the memory that TryWrite will need.
func (s *Socket) Warm() { s.guard.Load() }

// TryWrite hands p to the socket without waiting. n < len(p) with a nil error means that the socket is full. It does
// not allocate.
//
// It bypasses net and its poller, which would lock and read three more objects: with thousands of sockets each of those
// has left the processor's cache before its next use.
func (s *Socket) TryWrite(p []byte) (n int, err error) {
	if s.raw == nil {
		return tryWrite(s.conn, p)
	}
	if !s.guard.CompareAndSwap(socketOpen, socketWriting) {
		return 0, net.ErrClosed
	}
	n, err = writeNow(s.fd, p)
	s.written()
	return n, err
}

// tryWrite is TryWrite for other connections than direct ones. It takes no bytes unless the connection itself can
// report the number of taken bytes.
func tryWrite(conn net.Conn, p []byte) (n int, err error) {
	if c, ok := conn.(interface{ TryWrite([]byte) (int, error) }); ok {
		return c.TryWrite(p)
	}
	return 0, nil
}

// written ends TryWrite, and closes the connection if Close was called meanwhile.
func (s *Socket) written() {
	if !s.guard.CompareAndSwap(socketWriting, socketOpen) {
		s.guard.Store(socketClosed)
		s.end()
	}
}

// Close closes the connection. Bytes that were written still go out. While TryWrite is at work, TryWrite closes it.
// Close may be called again.
func (s *Socket) Close() {
	for {
		switch state := s.guard.Load(); state {
		case socketOpen:
			if s.guard.CompareAndSwap(state, socketClosed) {
				s.end()
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

// end closes the connection, so that reads and writes fail.
func (s *Socket) end() {
	_ = s.conn.Close() // the connection ends whether or not this works
	s.wake()
}

// WriteAll hands all of p to the socket. The timeout applies to each sendPiece of it.
func (s *Socket) WriteAll(p []byte, timeout time.Duration) error {
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

// SetReadTimeout makes reads fail after a time from now.
func (s *Socket) SetReadTimeout(d time.Duration) { s.SetReadDeadline(time.Now().Add(d)) }

// ClearReadDeadline lets reads wait without limit.
func (s *Socket) ClearReadDeadline() { s.SetReadDeadline(time.Time{}) }

// WakeReader makes the current read, or the next one, fail at once with a timeout.
func (s *Socket) WakeReader() {
	s.SetReadDeadline(time.Unix(1, 0))
	s.wake()
}

// SetReadDeadline makes reads fail from a point in time on. The zero time means never.
func (s *Socket) SetReadDeadline(t time.Time) {
	_ = s.conn.SetReadDeadline(t) // fails only on a closed connection, which the next read reports
}

// CloseWrite ends the outgoing stream and leaves the incoming one open.
func (s *Socket) CloseWrite() {
	if conn, ok := s.conn.(interface{ CloseWrite() error }); ok {
		_ = conn.CloseWrite() // fails only on a closed connection, which the next read reports
	}
}

// Abort closes the connection and drops the bytes that the peer has not taken yet. It may be called again.
func (s *Socket) Abort() {
	conn := underlying(s.conn)
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // the connection is closed whether or not this works
	}
	if conn != s.conn {
		_ = conn.Close() // without the closing alert of TLS, which could wait
		return
	}
	s.Close()
}

// underlying returns the connection below TLS and below the header of a proxy.
func underlying(conn net.Conn) net.Conn {
	for {
		above, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return conn
		}
		conn = above.NetConn()
	}
}

// IsTimeout reports whether a read failed because of its deadline or because of WakeReader.
func IsTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
