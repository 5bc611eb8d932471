package simtest_test

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// end is one end of a connection of the model network. It implements net.Conn. Bytes arrive at once; a bound on the
// bytes that the other end has not read models a full socket.
type end struct {
	peer    *end
	address net.Addr
	written func() // called after the other end wrote, without a lock; nil: the bytes wait for Read
	bound   int    // of unread bytes; 0: none

	mu     *sync.Mutex // shared by both ends; guards the following fields
	change *sync.Cond
	unread []byte
	over   bool  // the other end sends no more
	closed bool  // by this end
	broken error // the connection was cut
	read   deadline
	write  deadline
}

// deadline is the deadline of one direction.
type deadline struct {
	passed bool
	timer  *time.Timer
}

// newConn returns both ends of a connection.
func newConn() (a, b *end) {
	mu := &sync.Mutex{}
	make := func(port int) *end {
		return &end{mu: mu, change: sync.NewCond(mu), address: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}}
	}
	a, b = make(1), make(2)
	a.peer, b.peer = b, a
	return a, b
}

func (e *end) Read(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for {
		switch {
		case e.closed:
			return 0, net.ErrClosed
		case e.broken != nil:
			return 0, e.broken
		case e.read.passed:
			return 0, os.ErrDeadlineExceeded
		case len(e.unread) > 0:
			n := copy(p, e.unread)
			e.unread = e.unread[n:]
			e.peer.change.Broadcast()
			return n, nil
		case e.over:
			return 0, io.EOF
		}
		e.change.Wait()
	}
}

// take returns what has arrived. Only ends that nobody reads use it.
func (e *end) take() []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.unread
	e.unread = nil
	e.peer.change.Broadcast()
	return p
}

// ended reports whether the other end is gone and nothing is left to take.
func (e *end) ended() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.unread) == 0 && (e.over || e.broken != nil)
}

// room returns how many bytes the other end takes, and why it takes none. It needs mu.
func (e *end) room(n int) (int, error) {
	switch {
	case e.closed:
		return 0, net.ErrClosed
	case e.broken != nil:
		return 0, e.broken
	case e.peer.closed:
		return 0, io.ErrClosedPipe
	case e.peer.bound > 0:
		return min(n, max(0, e.peer.bound-len(e.peer.unread))), nil
	default:
		return n, nil
	}
}

func (*end) Warm() {}

// TryWrite implements what websocket.Socket asks a connection for.
func (e *end) TryWrite(p []byte) (int, error) {
	e.mu.Lock()
	n, err := e.room(len(p))
	e.push(p[:n])
	e.mu.Unlock()
	e.notify(n)
	return n, err
}

func (e *end) Write(p []byte) (n int, err error) {
	e.mu.Lock()
	for n < len(p) && err == nil {
		if e.write.passed {
			err = os.ErrDeadlineExceeded
			break
		}
		var room int
		room, err = e.room(len(p) - n)
		e.push(p[n : n+room])
		if n += room; n < len(p) && err == nil {
			e.change.Wait()
		}
	}
	e.mu.Unlock()
	e.notify(n)
	return n, err
}

func (e *end) push(p []byte) {
	if len(p) > 0 {
		e.peer.unread = append(e.peer.unread, p...)
		e.peer.change.Broadcast()
	}
}

func (e *end) notify(n int) {
	if n > 0 && e.peer.written != nil {
		e.peer.written()
	}
}

// Close ends both directions. The other end still reads what was written.
func (e *end) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.closed, e.peer.over = true, true
		e.stop(&e.read)
		e.stop(&e.write)
		e.change.Broadcast()
		e.peer.change.Broadcast()
	}
	return nil
}

// cut breaks the connection: what was not read is lost.
func (e *end) cut() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, side := range []*end{e, e.peer} {
		side.broken, side.unread = net.ErrClosed, nil
		side.broken = io.ErrUnexpectedEOF
		side.change.Broadcast()
	}
}

func (e *end) LocalAddr() net.Addr  { return e.address }
func (e *end) RemoteAddr() net.Addr { return e.peer.address }

func (e *end) SetDeadline(t time.Time) error {
	_ = e.SetReadDeadline(t)
	return e.SetWriteDeadline(t)
}

func (e *end) SetReadDeadline(t time.Time) error  { return e.set(&e.read, t) }
func (e *end) SetWriteDeadline(t time.Time) error { return e.set(&e.write, t) }

func (e *end) stop(d *deadline) {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

func (e *end) set(d *deadline, t time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return net.ErrClosed
	}
	e.stop(d)
	d.passed = false
	if t.IsZero() {
		return nil
	}
	wait := time.Until(t)
	if wait <= 0 {
		d.passed = true
		e.change.Broadcast()
		return nil
	}
	var timer *time.Timer
	timer = time.AfterFunc(wait, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if d.timer == timer {
			d.passed = true
			e.change.Broadcast()
		}
	})
	d.timer = timer
	return nil
}

// port is a port of the model network.
type port struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPort() *port {
	return &port{conns: make(chan net.Conn, 64), done: make(chan struct{})}
}

func (l *port) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *port) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *port) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }
