package transport

import (
	"net"
	"sync"
	"time"

	"github.com/rte-server/rte-server/internal/transport/forwarded"
)

// namedListener is a port for connections that may begin with a header of the PROXY protocol, in front of TLS.
type namedListener struct {
	net.Listener
	h       *Handler
	timeout time.Duration
}

// BehindProxies returns a listener that takes the header of the PROXY protocol from the connections of another one. TLS
// must follow: without it, Serve takes the header itself. timeout bounds the wait for the header.
func (h *Handler) BehindProxies(l net.Listener, timeout time.Duration) net.Listener {
	if h.options.Proxies.Protocol == forwarded.Off {
		return l
	}
	return &namedListener{l, h, timeout}
}

// Accept does not wait for the header.
func (l *namedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &namedConn{Conn: conn}
	c.enter = sync.OnceFunc(func() { l.enter(c) })
	return c, nil
}

// namedConn is a connection with a header. The goroutine that first uses the connection reads the header: net/http
// first requests the address.
type namedConn struct {
	net.Conn
	enter func() // reads the header; may be called again, from any goroutine

	// Owned by enter, then constant, but for prefix, which the reader owns.
	client net.Addr // named by a trusted proxy; nil: none
	prefix []byte   // bytes behind the header that were read
	err    error    // of the header; the connection is of no use then
}

// enter reads the header of a connection.
func (l *namedListener) enter(c *namedConn) {
	c.err = c.SetReadDeadline(time.Now().Add(l.timeout))
	if c.err != nil {
		return
	}
	first := &firstBytes{buffers: &l.h.buffers}
	if peer, ok := c.Conn.RemoteAddr().(*net.TCPAddr); ok {
		first.peer = peer.AddrPort()
	}
	bytes := make([]byte, 512)
	n, err := c.Conn.Read(bytes)
	if c.err = err; err != nil {
		return
	}
	first.bytes = bytes[:n]
	result, err := first.readProxyHeader(c.Conn, l.h.options.Proxies.Protocol, &l.h.options.Proxies.Trusted)
	l.h.metrics.proxyHeaders[result].Inc()
	if c.err = err; err != nil {
		return
	}
	if first.named {
		c.client = net.TCPAddrFromAddrPort(first.peer)
	}
	c.prefix = first.bytes
	c.err = c.SetReadDeadline(time.Time{})
}

// RemoteAddr returns the address of the client. It waits for the header.
func (c *namedConn) RemoteAddr() net.Addr {
	if c.enter(); c.client != nil {
		return c.client
	}
	return c.Conn.RemoteAddr()
}

// Read returns the bytes behind the header.
func (c *namedConn) Read(p []byte) (int, error) {
	if c.enter(); c.err != nil {
		return 0, c.err
	}
	if len(c.prefix) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.prefix)
	if c.prefix = c.prefix[n:]; len(c.prefix) == 0 {
		c.prefix = nil
	}
	return n, nil
}

// NetConn returns the socket.
func (c *namedConn) NetConn() net.Conn { return c.Conn }
