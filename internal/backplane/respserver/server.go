package respserver

import (
	"bufio"
	"context"
	"errors"
	"net"
	"sync"

	"github.com/rte-server/rte-server/internal/backplane/resp"
	"github.com/rte-server/rte-server/internal/events"
)

// Publisher publishes events. Every backplane implements it.
type Publisher interface {
	Publish(ctx context.Context, data []byte) error
}

// Options are what a Server needs.
type Options struct {
	// Publisher receives the published events. Required.
	Publisher Publisher
	// Catalog decodes the events. Required.
	Catalog *events.Catalog
	// MaxConnections bounds the clients at a time. Default 100.
	MaxConnections int
	// MaxBytes bounds an argument. Default 1 MiB.
	MaxBytes int
}

// Server accepts events from Redis clients.
type Server struct {
	options Options

	mu          sync.Mutex
	connections map[net.Conn]bool // guarded by mu; nil: the server has ended
}

// New makes a Server.
func New(o Options) *Server {
	if o.MaxConnections == 0 {
		o.MaxConnections = 100
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 1 << 20
	}
	return &Server{options: o, connections: map[net.Conn]bool{}}
}

// Serve serves the clients of a listener until ctx ends; then it closes the listener and all connections. Call it
// once.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	var running sync.WaitGroup
	defer running.Wait()
	stop := context.AfterFunc(ctx, func() {
		_ = listener.Close()
		s.closeAll()
	})
	defer stop()
	for {
		conn, err := listener.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = conn.Close()
			}
			return nil
		}
		if err != nil {
			return err
		}
		if !s.add(conn) {
			_, _ = conn.Write([]byte("-ERR max number of clients reached\r\n"))
			_ = conn.Close()
			continue
		}
		running.Go(func() {
			defer s.remove(conn)
			s.serve(ctx, conn)
		})
	}
}

// add registers a connection. It reports whether there is room for it.
func (s *Server) add(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.connections == nil || len(s.connections) >= s.options.MaxConnections {
		return false
	}
	s.connections[conn] = true
	return true
}

func (s *Server) remove(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.connections, conn)
	_ = conn.Close() // it may be closed already
}

func (s *Server) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.connections {
		_ = conn.Close()
	}
	s.connections = nil
}

// serve answers the commands of a connection. It flushes the answers when no command waits, as clients pipeline.
func (s *Server) serve(ctx context.Context, conn net.Conn) {
	in := resp.NewCommandReader(conn, s.options.MaxBytes)
	c := &client{server: s, out: bufio.NewWriter(conn)}
	for !c.over {
		command, err := in.Next()
		switch {
		case errors.Is(err, resp.ErrProtocol):
			c.fail("ERR " + err.Error())
			c.over = true
		case err != nil:
			return
		default:
			c.do(ctx, command)
		}
		if !in.Buffered() || c.over {
			if c.out.Flush() != nil {
				return
			}
		}
	}
}
