package transport

import (
	"net"
	"time"
)

// replayedConn is a connection from which the entrance has read, for net/http, which reads the same bytes again.
type replayedConn struct {
	net.Conn
	conn    *net.TCPConn // the same, for whom there is nothing more to be replayed
	prefix  []byte       // what was read and is yet to be read again
	until   time.Time    // when the time for the head of the request is over that began with the connection; zero: it is not looked at
	verdict *verdict     // nil: the token was not looked at
}

// Read reads what was read before, then what comes.
func (c *replayedConn) Read(p []byte) (int, error) {
	if len(c.prefix) == 0 {
		return c.conn.Read(p)
	}
	n := copy(p, c.prefix)
	c.prefix = c.prefix[n:]
	return n, nil
}

// SetReadDeadline does not, the first time, begin the time for the head of the request anew.
func (c *replayedConn) SetReadDeadline(t time.Time) error {
	if t.After(c.until) && !c.until.IsZero() {
		t = c.until
	}
	c.until = time.Time{}
	return c.conn.SetReadDeadline(t)
}

// CloseWrite ends what is sent. net/http looks for it when it closes a connection whose client is still sending.
func (c *replayedConn) CloseWrite() error { return c.conn.CloseWrite() }
