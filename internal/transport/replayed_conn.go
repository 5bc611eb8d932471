package transport

import (
	"net"
	"time"
)

// replayedConn is a connection from which the entrance has read. net/http reads the same bytes again.
type replayedConn struct {
	net.Conn
	conn     *net.TCPConn   // the same connection, without replay
	prefix   []byte         // bytes that were read and are not read again yet
	until    time.Time      // deadline for the head of the request, since the connection began; zero: none
	verified *verifiedToken // nil: the entrance did not check the token
	client   net.Addr       // that a trusted proxy has named; nil: none
}

// RemoteAddr returns the address of the client.
func (c *replayedConn) RemoteAddr() net.Addr {
	if c.client != nil {
		return c.client
	}
	return c.Conn.RemoteAddr()
}

// Read returns the bytes that were read before, then new ones.
func (c *replayedConn) Read(p []byte) (int, error) {
	if len(c.prefix) == 0 {
		return c.conn.Read(p)
	}
	n := copy(p, c.prefix)
	c.prefix = c.prefix[n:]
	return n, nil
}

// SetReadDeadline sets the deadline. The first call cannot move the deadline for the head of the request.
func (c *replayedConn) SetReadDeadline(t time.Time) error {
	if t.After(c.until) && !c.until.IsZero() {
		t = c.until
	}
	c.until = time.Time{}
	return c.conn.SetReadDeadline(t)
}

// CloseWrite ends the outgoing stream. net/http calls it when it closes a connection whose client is still sending.
func (c *replayedConn) CloseWrite() error { return c.conn.CloseWrite() }
