package transport

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/transport/admission"
	"github.com/rte-server/rte-server/internal/transport/fallback"
	"github.com/rte-server/rte-server/internal/transport/transports"
	"github.com/rte-server/rte-server/internal/transport/websocket"
)

// maxPosts bounds the POST requests of one connection that wait for their turn. Clients send one after the other.
const maxPosts = 8

// linked is the part of a connection that has a Link in place of a WebSocket.
type linked struct {
	*fallback.Link
	turn      chan struct{} // has an element for each POST that waits or has its turn
	posting   chan struct{} // has an element while a POST has its turn
	abandoned atomic.Bool   // too long without a request of the client
}

func (h *Handler) newLinked(t transports.Transport) *linked {
	var link *fallback.Link
	if t == transports.LongPolling {
		link = fallback.NewPolled(h.options.Timeouts.Disconnect)
	} else {
		link = fallback.NewStream()
	}
	return &linked{Link: link, turn: make(chan struct{}, 1+maxPosts), posting: make(chan struct{}, 1)}
}

// transport returns the transport of the connection.
func (c *Conn) transport() transports.Transport {
	switch {
	case c.link == nil:
		return transports.WebSockets
	case c.link.Polled():
		return transports.LongPolling
	default:
		return transports.ServerSentEvents
	}
}

// belongsTo reports whether claims belong to the user of the connection, in the same organization.
func (c *Conn) belongsTo(claims *authz.Claims) bool {
	return c.owner.user == claims.User && c.owner.organization == claims.Organization
}

// named is the connection that a request names.
type named struct {
	token connToken
	conn  *Conn // nil: this node does not have it
}

// unopened reports whether the connection was negotiated by the user of the request, and no request has opened it.
func (h *Handler) unopened(n *named) bool {
	now := time.Now()
	return n.conn == nil && n.token.sameUser && h.connections.unused(n.token.id, h.inTime(&n.token, now), now)
}

// find returns the connection that a request names by its connection token. It answers a request without a connection,
// or lets another node answer it.
//
// Where nodes pass requests on, a connection of several requests is on the node that made its token. Otherwise two
// requests at the same time, or a node that does not know all others yet, could begin it twice.
func (h *Handler) find(w http.ResponseWriter, r *request) (named, bool) {
	text := r.query.value("id")
	if text == "" {
		h.refuse(w, requestHub, refusedNoID)
		return named{}, false
	}
	token, ok := h.tokens.parse(text, r.claims)
	if !ok {
		h.refuse(w, requestHub, refusedUnknownID)
		return named{}, false
	}
	c, _ := h.connections.find(token.id, time.Now())
	if c == nil && token.foreign && h.options.Relay != nil && h.options.Transports.Fallback() {
		name, _ := cutTicket(text) // the owner gets the ticket with the request
		if !h.passOnPatiently(w, r, &token, name) {
			h.refuse(w, requestHub, refusedUnknownID)
		}
		return named{}, false
	}
	return named{token, c}, true
}

// mayUse reports whether a request may use the connection that it names, with a transport. If not, it answers the
// request.
func (h *Handler) mayUse(w http.ResponseWriter, r *request, n *named, t transports.Transport) bool {
	c := n.conn
	switch {
	case c.transport() != t:
		h.refuse(w, requestHub, refusedTransport)
	case !c.belongsTo(r.claims):
		if t == transports.LongPolling && h.options.Refresh.Enabled && r.Method == http.MethodGet {
			h.metrics.refused[requestHub][refusedRefreshRequired].Inc()
			answerRefresh(w, refusals[refusedRefreshRequired].status, `{"error":"authentication_refresh_required"}`)
			return false
		}
		h.refuse(w, requestHub, refusedOtherUser)
	case c.link.Over():
		h.refuse(w, requestHub, refusedUnknownID)
	default:
		return true
	}
	return false
}

// openLinked makes a connection without a WebSocket from its first request. It answers a request that it refuses.
func (h *Handler) openLinked(w http.ResponseWriter, r *request, n *named, t transports.Transport) (*Conn, bool) {
	refuse := func(reason refusal) (*Conn, bool) {
		h.refuse(w, requestHub, reason)
		return nil, false
	}
	if !n.token.sameUser {
		return refuse(refusedUnknownID)
	}
	if reason, ok := h.refusesAll(&r.owner.remote, admission.Announced); !ok {
		return refuse(reason)
	}
	if !h.hold(r.Context(), r.owner.organizationUser()) {
		return refuse(refusedHold)
	}
	u := h.newUpgrade("", r.query, r.claims, r.owner)
	u.ticket = r.ticket
	u.link, u.searched = h.newLinked(t), true
	if reason, ok := h.awaitTurn(w, r, u.kind()); !ok {
		return refuse(reason)
	}
	a, reason, ok := h.admit(&u)
	h.queue.Entered(u.kind())
	if !ok {
		return refuse(reason)
	}
	sock := websocket.NewSocket(u.link, &h.buffers)
	sock.SetReadTimeout(h.options.Timeouts.Handshake)
	if !h.connections.attach(a.c, sock) {
		h.connections.remove(a.c)
		sock.Abort()
		return refuse(refusedDraining)
	}
	a.c.start(nil)
	return a.c, true
}

// serveStream serves a GET of the transport ServerSentEvents: it streams the messages of the connection until the
// connection or the request ends.
func (h *Handler) serveStream(w http.ResponseWriter, r *request) {
	if !h.options.Transports[transports.ServerSentEvents] {
		h.refuseTransport(w, r, refusedEventStream)
		return
	}
	n, ok := h.find(w, r)
	if !ok {
		return
	}
	if n.conn != nil {
		if h.mayUse(w, r, &n, transports.ServerSentEvents) {
			h.refuse(w, requestHub, refusedIDInUse)
		}
		return
	}
	c, ok := h.openLinked(w, r, &n, transports.ServerSentEvents)
	if !ok {
		return
	}
	defer c.link.Finish()
	header := w.Header()
	header.Set("Content-Type", eventStream)
	header.Set("Cache-Control", "no-cache,no-store")
	header.Set("Pragma", "no-cache")
	header.Set("Content-Encoding", "identity")
	header.Set("X-Accel-Buffering", "no") // nginx would collect the stream
	receiver := c.link.Receive()
	defer receiver.Leave()
	out := h.newSender(w, r)
	if !out.send([]byte(":\r\n")) {
		return
	}
	for {
		events, outcome := receiver.Next(r.Context(), 0)
		if outcome != fallback.Messages || !out.send(events) {
			return
		}
	}
}

// sender writes an answer that takes longer than others.
type sender struct {
	w       http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
}

// newSender makes the answer independent of the deadlines of the server. A test's writer has none. For a body that
// nothing reads the deadline stays: net/http waits for it with the answer.
func (h *Handler) newSender(w http.ResponseWriter, r *request) *sender {
	s := &sender{w, http.NewResponseController(w), h.options.Timeouts.Send}
	if r.ContentLength == 0 {
		_ = s.control.SetReadDeadline(time.Time{})
	}
	_ = s.control.SetWriteDeadline(time.Time{})
	return s
}

// extend gives the client the send timeout from now on.
func (s *sender) extend() { _ = s.control.SetWriteDeadline(time.Now().Add(s.timeout)) }

// send sends bytes at once, each sendPiece within the send timeout, and reports whether that worked.
func (s *sender) send(p []byte) bool {
	for len(p) > 0 {
		piece := p[:min(len(p), sendPiece)]
		s.extend()
		if _, err := s.w.Write(piece); err != nil {
			return false
		}
		p = p[len(piece):]
	}
	return s.control.Flush() == nil
}

// sendPiece is how much of an answer the client must take within the send timeout (W9).
const sendPiece = 64 << 10

// servePoll serves a GET of the transport LongPolling. The first one opens the connection. Each other one waits for
// messages of the connection, and takes over from the previous one.
func (h *Handler) servePoll(w http.ResponseWriter, r *request) {
	header := w.Header()
	header.Set("Cache-Control", "no-cache, no-store")
	header.Set("Pragma", "no-cache")
	header.Set("Expires", "Thu, 01 Jan 1970 00:00:00 GMT")
	if !h.options.Transports[transports.LongPolling] {
		h.refuseTransport(w, r, refusedLongPolling)
		return
	}
	n, ok := h.find(w, r)
	if !ok {
		return
	}
	if n.conn == nil {
		if _, ok := h.openLinked(w, r, &n, transports.LongPolling); ok {
			header.Set("Content-Type", octetStream)
			header.Set("Content-Length", "0")
		}
		return
	}
	if !h.mayUse(w, r, &n, transports.LongPolling) {
		return
	}
	h.takeToken(r, n.conn)
	link := n.conn.link
	out := h.newSender(w, r)
	receiver := link.Receive()
	h.metrics.polling.Inc()
	messages, outcome := receiver.Next(r.Context(), h.options.Timeouts.Poll)
	h.metrics.polling.Dec()
	h.metrics.polls[outcome].Inc()
	switch outcome {
	case fallback.Messages:
		header.Set("Content-Length", strconv.Itoa(len(messages)))
		header.Set("Content-Type", octetStream)
		if !out.send(messages) {
			_ = link.Close() // the client lacks messages
		}
	case fallback.Late:
		out.extend()
		answer(w, http.StatusOK, "")
	case fallback.Over:
		link.Finish()
		fallthrough
	case fallback.Replaced:
		out.extend()
		answer(w, http.StatusNoContent, "")
	case fallback.Gone:
	}
	receiver.Leave()
}

const octetStream = "application/octet-stream"

// takeToken brings the token of a poll into force if it ends later than the current one. Clients of LongPolling show
// each new token in their polls.
func (h *Handler) takeToken(r *request, c *Conn) {
	if !c.opened.Load() || !r.claims.ExpiresAt.After(c.session.Claims().ExpiresAt) {
		return
	}
	h.refresh.Lock()
	changed, _, _ := h.replaceClaimsLocked(c, r.claims) // fails only if the session ends
	h.refresh.Unlock()
	if changed != nil {
		changed.session.Recheck(r.Context())
	}
}

// servePost hands the body of a POST of ServerSentEvents or LongPolling to its connection, one request at a time. It
// answers when the connection has read the whole body.
func (h *Handler) servePost(w http.ResponseWriter, r *request) {
	n, ok := h.find(w, r)
	if !ok {
		return
	}
	c := n.conn
	switch {
	case c == nil && h.options.Transports.Fallback() && h.unopened(&n):
		h.refuse(w, requestHub, refusedEarlyPost)
		return
	case c == nil && h.options.Transports.Fallback():
		h.refuse(w, requestHub, refusedUnknownID)
		return
	case c == nil || c.link == nil:
		h.refuseTransport(w, r, refusedPost)
		return
	case !h.mayUse(w, r, &n, c.transport()):
		return
	case c.endReason.Load() != 0:
		h.refuse(w, requestHub, refusedUnknownID)
		return
	case r.ContentLength > h.options.Limits.FrameBytes:
		h.refuse(w, requestHub, refusedPostSize)
		return
	}
	select {
	case c.link.turn <- struct{}{}:
		defer func() { <-c.link.turn }()
	default:
		h.refuse(w, requestHub, refusedPosts)
		return
	}
	select {
	case c.link.posting <- struct{}{}:
		defer func() { <-c.link.posting }()
	case <-r.Context().Done():
		return
	}
	switch err := h.post(w, r, c.link); {
	case err == nil:
		answer(w, http.StatusOK, "")
	case errors.Is(err, errPostEnded):
		c.link.Finish() // the connection lacks bytes
	default:
		h.refuse(w, requestHub, refusedUnknownID)
	}
}

// errPostEnded means that the body of a POST ended too early.
var errPostEnded = errors.New("the body is incomplete")

// post hands the body of a request to a connection, in pieces.
func (h *Handler) post(w http.ResponseWriter, r *request, link *linked) error {
	control := http.NewResponseController(w)
	buf := h.buffers.Get()
	defer h.buffers.Put(buf)
	for {
		_ = control.SetReadDeadline(time.Now().Add(h.options.Timeouts.Send))
		read, err := r.Body.Read(buf[:])
		if read > 0 {
			if err := link.Post(buf[:read]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			_ = control.SetWriteDeadline(time.Now().Add(h.options.Timeouts.Send))
			return nil
		case err != nil:
			return errPostEnded
		}
	}
}

// serveDelete ends a connection of LongPolling.
func (h *Handler) serveDelete(w http.ResponseWriter, r *request) {
	n, ok := h.find(w, r)
	if !ok {
		return
	}
	if n.conn == nil && h.options.Transports[transports.LongPolling] && !h.unopened(&n) {
		h.refuse(w, requestHub, refusedUnknownID)
		return
	}
	if n.conn == nil || n.conn.transport() != transports.LongPolling {
		h.refuseTransport(w, r, refusedDelete)
		return
	}
	if !h.mayUse(w, r, &n, transports.LongPolling) {
		return
	}
	n.conn.link.End()
	w.Header().Set("Content-Length", "0")
	answer(w, http.StatusAccepted, "")
}

// awaitPoll returns the time until the connection ends because its client does not poll, at most next. ok is false
// after this time. A connection of another transport needs no polls.
func (c *Conn) awaitPoll(now time.Time, next time.Duration) (_ time.Duration, ok bool) {
	if c.transport() != transports.LongPolling {
		return next, true
	}
	left := c.link.Remaining(now)
	if left <= 0 {
		c.link.abandoned.Store(true)
		return 0, false
	}
	return min(next, left), true
}

// closeAbandoned ends the Link of a client that does not poll: no request will fetch the last frames.
func (c *Conn) closeAbandoned() {
	if c.link != nil && c.link.abandoned.Load() {
		c.h.metrics.abandoned.Inc()
		_ = c.link.Close()
	}
}

// readEnded acts on the end of the client's bytes. It reports whether the client has ended the connection.
func (c *Conn) readEnded(err error) bool {
	if !errors.Is(err, fallback.ErrEnded) {
		return false
	}
	c.peerClosed()
	return true
}
