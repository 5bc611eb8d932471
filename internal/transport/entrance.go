package transport

import (
	"bytes"
	"cmp"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/transport/forwarded"
	"github.com/rte-server/rte-server/internal/transport/transports"
	"github.com/rte-server/rte-server/internal/transport/websocket"
)

// entrance is the listener between a port and net/http. It waits for the first bytes of each connection, with a small
// stack and no buffer. It grants a plain request for a WebSocket at once. It passes every other connection to net/http,
// which reads the same bytes as if they came from the port.
type entrance struct {
	net.Listener
	h       *Handler
	server  *http.Server
	timeout time.Duration // for the head of a request; 0: none
	arrived atomic.Int64  // accepted connections that are neither upgraded nor passed to net/http
	http    atomic.Int64  // connections of net/http
	saving  atomic.Bool   // HTTP connections are closed after each request, because sockets run short
	crowded crowd

	accepted chan accepted // for net/http
	closed   chan struct{}
	running  sync.WaitGroup // the goroutines that accept and wait

	mu      sync.Mutex
	waiting map[*websocket.Socket]time.Time // since when their first bytes have not come; nil once closed
}

// accepted is what Accept returns.
type accepted struct {
	conn net.Conn
	err  error
}

// Serve serves a port with server, whose Handler must be h and which must have no ConnContext and no ConnState. It sets
// the idle timeout of server. It returns the error of server.Serve after server was shut down or closed. Then no
// goroutine that waited for requests is left.
func (h *Handler) Serve(server *http.Server, listener net.Listener) error {
	e := &entrance{
		Listener: listener,
		h:        h,
		server:   server,
		timeout:  cmp.Or(server.ReadHeaderTimeout, server.ReadTimeout),
		accepted: make(chan accepted),
		closed:   make(chan struct{}),
		crowded:  newCrowd(),
		waiting:  map[*websocket.Socket]time.Time{},
	}
	server.ConnContext = withVerified
	server.ConnState = e.connState
	server.IdleTimeout = h.options.Timeouts.Idle
	e.running.Go(e.acceptAll)
	err := server.Serve(e) // closes e
	e.running.Wait()
	return err
}

// connState counts the connections of net/http.
func (e *entrance) connState(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		e.h.metrics.httpConnections.Set(float64(e.http.Add(1)))
		e.arrived.Add(-1)
	case http.StateClosed, http.StateHijacked:
		e.h.metrics.httpConnections.Set(float64(e.http.Add(-1)))
	default:
		return
	}
	e.saveSockets()
}

// sockets returns the number of open sockets of the port.
func (e *entrance) sockets() int {
	n := int(e.arrived.Load()+e.http.Load()) + e.h.connections.sockets() + e.h.connections.awaitingSockets()
	if e.h.options.Relay != nil {
		n += e.h.options.Relay.Sockets()
	}
	return n
}

// saveSockets closes idle HTTP connections while the port has more than three quarters of its sockets open. When many
// clients connect at once, each has two for a moment: 200 clients of .NET with 300 descriptors took a minute.
func (e *entrance) saveSockets() {
	limit := e.h.options.Limits.Sockets
	if limit <= 0 {
		return
	}
	switch used := e.sockets(); {
	case used > limit*3/4 && e.saving.CompareAndSwap(false, true):
		e.server.SetKeepAlivesEnabled(false) // closes the idle ones
	case used < limit/2 && e.saving.CompareAndSwap(true, false):
		e.server.SetKeepAlivesEnabled(true)
	}
}

// Accept returns the next connection for net/http.
func (e *entrance) Accept() (net.Conn, error) {
	select {
	case a := <-e.accepted:
		return a.conn, a.err
	case <-e.closed:
		return nil, net.ErrClosed
	}
}

// Close closes the port and the connections that have not sent a byte. It does not wait for goroutines.
func (e *entrance) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.waiting == nil {
		return nil
	}
	close(e.closed)
	for sock := range e.waiting {
		sock.Close()
	}
	e.waiting = nil
	return e.Listener.Close()
}

// acceptAll accepts until the entrance is closed. It passes errors to net/http, which waits before the next Accept.
func (e *entrance) acceptAll() {
	for {
		conn, err := e.Listener.Accept()
		if limit := e.h.options.Limits.Sockets; limit > 0 && err == nil && e.sockets() >= limit {
			e.h.metrics.refused[requestHub][refusedDescriptors].Inc()
			if !e.displace(time.Now()) {
				e.crowded.turnAway(conn, &e.running)
				continue
			}
		}
		if err == nil {
			e.arrived.Add(1)
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			if sock := websocket.NewSocket(tcp, &e.h.buffers); sock.Direct() {
				e.running.Go(func() { e.await(tcp, sock) })
				continue
			}
		}
		if !e.pass(accepted{conn, err}) {
			return
		}
	}
}

// pass hands a connection or an error to net/http. If the entrance is closed, it closes the connection and returns
// false.
func (e *entrance) pass(a accepted) bool {
	select {
	case e.accepted <- a:
		return true
	case <-e.closed:
		if a.conn != nil {
			_ = a.conn.Close() // the connection ends whether or not this works
			e.arrived.Add(-1)
		}
		return false
	}
}

// await waits for the first bytes of a connection, then grants the request or passes the connection on. It closes a
// connection without bytes and without an answer.
func (e *entrance) await(tcp *net.TCPConn, sock *websocket.Socket) {
	gone := false // from arrived
	defer func() {
		if !gone {
			e.arrived.Add(-1)
		}
	}()
	defer e.recover(sock)
	if !e.enter(sock) {
		sock.Close()
		return
	}
	var until time.Time
	if e.timeout > 0 {
		until = time.Now().Add(e.timeout)
		sock.SetReadDeadline(until)
	}
	first, err := e.read(tcp, sock)
	if !e.leave(sock) {
		gone = true // displace has closed it and does not count it any more
		if err == nil {
			first.release()
		}
		return
	}
	if err != nil {
		sock.Close()
		return
	}
	v, taken := e.h.takeUpgrade(sock, first.peer.Addr(), first.bytes, func() {
		gone = true
		e.arrived.Add(-1)
	})
	if taken {
		first.release()
		return
	}
	conn := &replayedConn{Conn: tcp, conn: tcp, prefix: bytes.Clone(first.bytes), until: until, verified: v}
	if first.named {
		conn.client = net.TCPAddrFromAddrPort(first.peer)
	}
	first.release()
	e.h.metrics.passed.Inc()
	gone = true
	e.pass(accepted{conn: conn})
}

// read waits for the first bytes of the request. A trusted proxy may name the client in front of them.
func (e *entrance) read(tcp *net.TCPConn, sock *websocket.Socket) (*firstBytes, error) {
	first := &firstBytes{buffers: &e.h.buffers}
	if peer, ok := tcp.RemoteAddr().(*net.TCPAddr); ok {
		first.peer = peer.AddrPort()
	}
	if err := first.read(sock); err != nil {
		return nil, err
	}
	mode := e.h.options.Proxies.Protocol
	if mode == forwarded.Off {
		return first, nil
	}
	result, err := first.readProxyHeader(tcp, mode, &e.h.options.Proxies.Trusted)
	e.h.metrics.proxyHeaders[result].Inc()
	if err == nil && len(first.bytes) == 0 {
		err = first.read(sock)
	}
	if err != nil {
		first.release()
	}
	return first, err
}

// enter records that a connection waits. It returns false if the entrance is closed.
func (e *entrance) enter(sock *websocket.Socket) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.waiting == nil {
		return false
	}
	e.waiting[sock] = time.Now()
	e.h.metrics.waiting.Inc()
	return true
}

// leave ends what enter began. It returns false if displace has done that.
func (e *entrance) leave(sock *websocket.Socket) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, waits := e.waiting[sock]; !waits && e.waiting != nil {
		return false
	}
	delete(e.waiting, sock)
	e.h.metrics.waiting.Dec()
	return true
}

// recover ends a connection after a panic, so that a bug that one connection triggers does not end all others.
func (e *entrance) recover(sock *websocket.Socket) {
	if reason := recover(); reason != nil {
		e.h.log.Error("[unexpected] upgrade panicked", zap.Any("panic", reason), zap.Stack("stack"))
		sock.Abort()
	}
}

// takeUpgrade grants the request of peer for a WebSocket that p begins with. It returns false if net/http has to read
// the request, or to refuse it. Then it has changed nothing, and v is set if it verified the token. It calls admitted
// when the connection has a place, before the client learns of it.
func (h *Handler) takeUpgrade(
	sock *websocket.Socket, peer netip.Addr, p []byte, admitted func(),
) (v *verifiedToken, taken bool) {
	began := time.Now()
	head, rest, ok := parseHead(p)
	if !ok || !h.isHub(strings.TrimSuffix(head.path, "/")) || h.draining.Load() ||
		!h.options.Transports[transports.WebSockets] {
		return nil, false
	}
	q := parseQuery(head.rawQuery)
	from := h.remoteOfHead(peer, &head, q)
	if _, ok := h.refusesAll(&from, kindOfUpgrade(q.value("id"))); !ok {
		return nil, false
	}
	token, err := bearer(head.authorization, q)
	ticket := errors.Is(err, errNoToken)
	var claims *authz.Claims
	if ticket {
		claims, err = h.redeemable(q)
	} else if err == nil {
		claims, err = h.options.Verifier.Verify(token)
		v = &verifiedToken{token, claims, err}
	}
	if err != nil {
		return v, false
	}
	u := h.newUpgrade(head.accept, q, claims, ownerOf(claims, from))
	u.ticket, u.deflate = ticket, websocket.OffersDeflate(head.extensions)
	if h.backoff.wait(u.owner.organizationUser(), time.Now()) > 0 || h.hasSocket(&u) || !h.queue.Try(u.kind()) {
		return v, false
	}
	a, _, ok := h.admit(&u)
	h.queue.Entered(u.kind())
	if !ok {
		return v, false
	}
	admitted()
	h.metrics.taken.Inc()
	h.upgraded(head.traceparent, began)
	h.switchProtocols(&a, sock, u.accept, append([]byte(nil), rest...))
	return nil, true
}
