package relay

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

const (
	// maxHandshakes bounds the connections in their handshake: the other end has not proven to be a node. handshakeTime
	// bounds the time of one handshake.
	maxHandshakes = 256
	handshakeTime = 2 * time.Second
	// headTime is how long a node may take for the head of a request, and for a body that nothing reads as long again.
	headTime = 5 * time.Second
)

// Served answers the requests of other nodes.
type Served struct {
	// State returns the state of a connection on this node. It must not wait.
	State func(id string) State
	// Handler answers requests that other nodes pass on. RemoteAddr of a request is the address that the other node has
	// seen.
	Handler http.Handler
}

// passedKey is the key of a value in the context of requests that another node has passed on.
type passedKey struct{}

// Passed reports whether another node has passed a request on to this one. Such a request must not be passed on again.
func Passed(ctx context.Context) bool { return ctx.Value(passedKey{}) != nil }

// Server answers other nodes on the relay port.
type Server struct {
	r        *Relay
	served   Served
	http     *http.Server
	listener *nodeListener
}

// NewServer returns a server for a port, which it owns from now on. It starts nothing.
func (r *Relay) NewServer(listener net.Listener, served Served) *Server {
	s := &Server{r: r, served: served}
	ctx, cancel := context.WithCancel(context.Background())
	s.listener = &nodeListener{
		Listener: listener, r: r, accepted: make(chan accepted), ctx: ctx, cancel: cancel,
		shaking: make(chan struct{}, maxHandshakes),
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	s.http = &http.Server{
		Handler: http.HandlerFunc(s.answer), ErrorLog: zap.NewStdLog(r.options.Logger), ConnState: s.connState,
		Protocols: protocols, ReadHeaderTimeout: headTime, ReadTimeout: 2 * headTime, IdleTimeout: 2 * idleTime,
		MaxHeaderBytes: r.options.HeaderBytes,
	}
	return s
}

// Serve answers until Close. It returns http.ErrServerClosed then.
func (s *Server) Serve() error {
	s.listener.running.Go(s.listener.acceptAll)
	err := s.http.Serve(s.listener) // closes the listener
	s.listener.running.Wait()
	return err
}

// Addr returns the address of the port.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Close closes the port and ends all requests. It does not end connections that were upgraded.
func (s *Server) Close() {
	_ = s.http.Close()
	_ = s.listener.Close() // http knows the listener only once it serves
}

// connState counts the connections of other nodes. An upgraded one counts as a connection of a client.
func (s *Server) connState(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.r.metrics.incoming.Set(float64(s.listener.open.Add(1)))
	case http.StateClosed, http.StateHijacked:
		s.r.metrics.incoming.Set(float64(s.listener.open.Add(-1)))
	}
}

// answer answers a request of another node.
func (s *Server) answer(w http.ResponseWriter, req *http.Request) {
	if id := req.Header.Get(findHeader); id != "" {
		s.r.metrics.served[true].Inc()
		w.WriteHeader(states[s.served.State(id)])
		return
	}
	client := req.Header.Get(clientHeader)
	if _, err := netip.ParseAddrPort(client); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.r.metrics.served[false].Inc()
	req = req.WithContext(context.WithValue(req.Context(), passedKey{}, true))
	req.RemoteAddr = client
	req.Header.Del(clientHeader)
	s.served.Handler.ServeHTTP(w, req)
}

// nodeListener accepts connections of nodes with the same secret, and closes all others.
type nodeListener struct {
	net.Listener
	r        *Relay
	open     atomic.Int64  // connections of other nodes
	shaking  chan struct{} // has an element for each connection in its handshake
	accepted chan accepted
	ctx      context.Context // until Close
	cancel   context.CancelFunc
	running  sync.WaitGroup
}

// accepted is a result of Accept.
type accepted struct {
	conn net.Conn
	err  error
}

// Accept returns the next connection of a node.
func (l *nodeListener) Accept() (net.Conn, error) {
	select {
	case a := <-l.accepted:
		return a.conn, a.err
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close closes the port.
func (l *nodeListener) Close() error {
	l.cancel()
	return l.Listener.Close()
}

// acceptAll accepts until the port is closed. It passes errors to net/http, which waits before the next Accept.
func (l *nodeListener) acceptAll() {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			if !l.pass(accepted{nil, err}) {
				return
			}
			continue
		}
		if l.open.Load() >= int64(l.r.options.Connections) {
			l.turnAway(conn, refusedFull)
			continue
		}
		select {
		case l.shaking <- struct{}{}:
			l.running.Go(func() { l.shake(conn) })
		default:
			l.turnAway(conn, refusedCrowded)
		}
	}
}

func (l *nodeListener) turnAway(conn net.Conn, reason strangerReason) {
	l.r.metrics.refused[reason].Inc()
	_ = conn.Close() // the connection ends whether or not this works
}

// shake lets the other end prove that it is a node.
func (l *nodeListener) shake(conn net.Conn) {
	ctx, cancel := context.WithTimeout(l.ctx, handshakeTime)
	defer cancel()
	secured := tls.Server(conn, l.r.identity.Load().server)
	err := secured.HandshakeContext(ctx)
	<-l.shaking
	if err != nil {
		l.turnAway(conn, refusedHandshake)
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetKeepAliveConfig(keepAlive) // a connection without it works as well
		boundAccepted(tcp)
	}
	l.pass(accepted{conn: secured})
}

// pass hands a connection or an error to net/http. If the port is closed, it closes the connection and returns false.
func (l *nodeListener) pass(a accepted) bool {
	select {
	case l.accepted <- a:
		return true
	case <-l.ctx.Done():
		if a.conn != nil {
			_ = a.conn.Close() // the connection ends whether or not this works
		}
		return false
	}
}
