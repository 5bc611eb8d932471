package smuggling

import (
	"io"
	"net"
)

// refusal replaces the rest of a head that the guard refuses: net/http answers a line without a colon with 400, and
// closes the connection.
const refusal = "?\r\n\r\n"

// Conn is a connection for net/http that a Guard checks.
type Conn struct {
	net.Conn

	begin   func(net.Conn) error // nil: already called, or not needed
	guard   Guard
	refused bool
	answer  string // rest of refusal
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	if begin := c.begin; begin != nil {
		c.begin = nil
		if err := begin(c.Conn); err != nil {
			return 0, err
		}
	}
	if c.refused {
		return c.readAnswer(p)
	}
	n, err := c.Conn.Read(p)
	if n <= 0 {
		return n, err
	}
	good, ok := c.guard.Check(p[:n])
	if ok {
		return n, err
	}
	c.refused = true
	if c.guard.inHead {
		c.answer = refusal
	}
	if good == 0 {
		return c.readAnswer(p)
	}
	return good, nil
}

// readAnswer returns the rest of the refusal.
func (c *Conn) readAnswer(p []byte) (int, error) {
	if c.answer == "" {
		return 0, io.EOF
	}
	n := copy(p, c.answer)
	c.answer = c.answer[n:]
	return n, nil
}

// CloseWrite ends the outgoing stream. net/http calls it when it closes a connection whose client is still sending.
func (c *Conn) CloseWrite() error {
	if conn, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return conn.CloseWrite()
	}
	return nil
}

// Checked is a listener that checks the bytes that net/http reads from its connections. net/http must not hijack them.
type Checked struct {
	net.Listener
	// Begin is called before the first bytes of a connection are read; its error ends the connection. nil: not needed.
	// net/http does not recognize a TLS connection of a Checked.
	Begin func(net.Conn) error
}

// Accept implements net.Listener.
func (l Checked) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &Conn{Conn: conn, begin: l.Begin}, nil
}
