package console

import (
	"net"
	"sync"
	"sync/atomic"
)

// Limit bounds the open connections of a listener of the operator port, so that they take no file descriptors from
// clients and Redis. It closes further connections at once and counts them.
func (s *Server) Limit(l net.Listener, connections int) net.Listener {
	return &limited{Listener: l, access: s.access, most: int64(connections)}
}

// limited is a listener with a bound for its open connections.
type limited struct {
	net.Listener

	access *access
	most   int64
	open   atomic.Int64
}

// Accept returns the next connection for which there is room.
func (l *limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		tcp, ok := conn.(*net.TCPConn)
		if !ok {
			return conn, nil // another kind of network
		}
		if l.open.Add(1) <= l.most {
			return &counted{TCPConn: tcp, of: l}, nil
		}
		l.open.Add(-1)
		l.access.refused.WithLabelValues(refusedCrowd).Inc()
		_ = conn.Close() // the connection ends whether or not this works
	}
}

// counted is a connection that counts until it is closed.
type counted struct {
	*net.TCPConn // net/http closes one direction of it

	of   *limited
	once sync.Once
}

// Close implements net.Conn.
func (c *counted) Close() error {
	c.once.Do(func() { c.of.open.Add(-1) })
	return c.TCPConn.Close()
}
