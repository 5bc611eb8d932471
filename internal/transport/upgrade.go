package transport

import (
	"crypto/sha1" //nolint:gosec // RFC 6455 asks for it; it protects nothing
	"encoding/base64"
	"net"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/transport/relay"
	"github.com/rte-server/rte-server/internal/transport/transports"
	"github.com/rte-server/rte-server/internal/transport/websocket"
)

// webSocketVersion is the only version of WebSocket (RFC 6455 section 4.1).
const webSocketVersion = "13"

// isWebSocket reports whether a GET asks for a WebSocket (RFC 6455 section 4.2.1).
func isWebSocket(r *http.Request) bool {
	return hasToken(r.Header.Values("Connection"), "upgrade") && hasToken(r.Header.Values("Upgrade"), "websocket")
}

// hasToken reports whether one of several comma-separated lists has a token, in any case.
func hasToken(lists []string, token string) bool {
	for _, list := range lists {
		for item := range strings.SplitSeq(list, ",") {
			if strings.EqualFold(strings.TrimSpace(item), token) {
				return true
			}
		}
	}
	return false
}

// upgrade holds the parameters of a request for a WebSocket, read by parseHead or by net/http.
type upgrade struct {
	accept   string // the answer to the client's key
	id       string // the connection token; empty: the client did not negotiate
	token    connToken
	isToken  bool // id is authentic, and token has its content
	returns  bool // a connection of this node may get another socket
	searched bool // no other node has the connection, or the request must stay here
	features hub.Features
	claims   *authz.Claims
	owner    owner
	ticket   bool    // in place of a token
	deflate  bool    // the client offers permessage-deflate
	link     *linked // in place of a WebSocket; nil: none
}

// serveUpgrade makes a connection from a request. It declines subprotocols, and extensions but permessage-deflate, by
// leaving them out of the answer (W1, W2). It accepts any Origin: a page cannot send a token that it does not have.
func (h *Handler) serveUpgrade(w http.ResponseWriter, r *request) {
	if !h.options.Transports[transports.WebSockets] {
		h.refuse(w, requestHub, refusedWebSockets)
		return
	}
	if r.Header.Get("Sec-WebSocket-Version") != webSocketVersion {
		w.Header().Set("Sec-WebSocket-Version", webSocketVersion)
		h.refuse(w, requestHub, refusedUpgradeVersion)
		return
	}
	accept, ok := acceptKey(r.Header.Values("Sec-WebSocket-Key"))
	if !ok || !r.ProtoAtLeast(1, 1) || r.ContentLength != 0 {
		h.refuse(w, requestHub, refusedBadUpgrade)
		return
	}
	if !h.hold(r.Context(), r.owner.organizationUser()) {
		h.refuse(w, requestHub, refusedHold)
		return
	}
	u := h.newUpgrade(accept, r.query, r.claims, r.owner)
	u.ticket = r.ticket
	u.deflate = websocket.OffersDeflate(r.Header.Values("Sec-WebSocket-Extensions"))
	if u.id != "" {
		if !u.isToken || !u.token.sameUser && !u.token.resumes || relay.Passed(r.Context()) && !u.returns {
			h.refuse(w, requestHub, refusedUnknownID)
			return
		}
		if h.mayBeElsewhere(&u) && h.passOn(w, r, &u.token, u.token.id.String()) {
			return
		}
		u.searched = true
		h.awaitFarewell(r.Context(), &u)
	}
	if reason, ok := h.awaitTurn(w, r, u.kind()); !ok {
		h.refuse(w, requestHub, reason)
		return
	}
	a, reason, ok := h.admit(&u)
	h.queue.Entered(u.kind())
	if !ok {
		h.refuse(w, requestHub, reason)
		return
	}
	conn, buffered, err := hijack(w)
	if err != nil {
		h.giveUp(&a)
		h.upgradeFailed(r.RemoteAddr, err)
		return
	}
	h.switchProtocols(&a, websocket.NewSocket(conn, &h.buffers), u.accept, buffered)
}

// newUpgrade returns the upgrade that a query asks for.
func (h *Handler) newUpgrade(accept string, q query, claims *authz.Claims, o owner) upgrade {
	u := upgrade{
		accept: accept, id: q.value("id"), features: hub.ParseFeatures(q.value("features")), claims: claims, owner: o,
	}
	if u.id != "" {
		u.token, u.isToken = h.tokens.parse(u.id, claims)
		u.returns = u.isToken && u.token.resumes && h.connections.resumable(u.token.id) != nil
	}
	return u
}

// admitted is an upgrade that may be answered.
type admitted struct {
	c *Conn
	// again means that the socket is another one for a connection that exists. changed has claims to recheck; nil: none.
	again   bool
	changed *Conn
}

// giveUp takes an admission back.
func (h *Handler) giveUp(a *admitted) {
	if !a.again {
		h.connections.remove(a.c)
	}
}

// admit makes a connection and adds it to the connections of the node. Its id is that of its connection token, which it
// uses up, or a new one (skipNegotiation). With stateful reconnect the token may name a connection of this node, which
// gets another socket. admit returns the reason if it refuses the upgrade.
func (h *Handler) admit(u *upgrade) (admitted, refusal, bool) {
	if h.draining.Load() {
		return admitted{}, refusedDraining, false
	}
	c := &Conn{
		h: h, features: u.features, since: time.Since(h.started), owner: u.owner, link: u.link,
		deflates: u.deflate && h.options.Protocol.Deflate, reader: reader{claims: u.claims},
	}
	if u.id == "" {
		c.id = newConnID()
		reason, ok := h.connections.add(c)
		return admitted{c: c}, reason, ok
	}
	token := &u.token
	if token.resumes && u.isToken && u.link == nil {
		if open := h.connections.resumable(token.id); open != nil && !u.ticket {
			return h.admitAgain(open, u.claims)
		}
	}
	if !u.isToken || !token.sameUser || u.returns || h.mayBeElsewhere(u) {
		return admitted{}, refusedUnknownID, false
	}
	now := time.Now()
	c.id, c.resumes = token.id, token.resumes && u.link == nil
	c.deflates = c.deflates && !c.resumes
	reason, ok := h.connections.redeem(c, h.inTime(token, now), now)
	if ok {
		h.redeemed(c)
		if u.ticket {
			h.metrics.tickets.Inc()
		}
	}
	return admitted{c: c}, reason, ok
}

// acceptKey returns the answer to the key of the client (RFC 6455 section 4.2.2).
func acceptKey(keys []string) (accept string, ok bool) {
	if len(keys) != 1 {
		return "", false
	}
	if nonce, err := base64.StdEncoding.DecodeString(keys[0]); err != nil || len(nonce) != 16 {
		return "", false
	}
	sum := sha1.Sum([]byte(keys[0] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // see the import
	return base64.StdEncoding.EncodeToString(sum[:]), true
}

// hijack takes the connection from net/http. buffered holds the bytes that the client has sent already. The buffers of
// net/http, 8 KB, are not kept.
func hijack(w http.ResponseWriter) (conn net.Conn, buffered []byte, err error) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return nil, nil, err
	}
	if n := rw.Reader.Buffered(); n > 0 {
		peeked, _ := rw.Peek(n) // never fails: the bytes are there
		buffered = append(buffered, peeked...)
	}
	if replayed, ok := conn.(*replayedConn); ok {
		conn, buffered = replayed.conn, append(buffered, replayed.prefix...)
	}
	return conn, buffered, nil
}

// switchProtocols answers an upgrade with 101 and begins to read from a connection that admit added. buffered holds the
// bytes that the client has sent already.
func (h *Handler) switchProtocols(a *admitted, sock *websocket.Socket, accept string, buffered []byte) {
	if err := h.answerUpgrade(sock, accept, a.c.deflates); err != nil {
		h.giveUp(a)
		h.upgradeFailed(sock.RemoteAddr().String(), err)
		sock.Close()
		return
	}
	c := a.c
	h.metrics.receivedBytes.Add(float64(len(buffered)))
	c.received.Add(int64(len(buffered)))
	if c.deflates {
		h.metrics.deflating.Inc()
	}
	if a.again {
		(&handover{c: c, sock: sock, buffered: buffered}).await()
		if a.changed != nil {
			a.changed.session.Recheck(h.invoking)
		}
		return
	}
	sock.SetReadTimeout(h.options.Timeouts.Handshake)
	if !h.connections.attach(c, sock) {
		h.connections.remove(c)
		sock.Abort()
		return
	}
	c.start(buffered)
}

// answerUpgrade sends the answer. It seldom needs a deadline: an unused socket takes the answer at once.
func (h *Handler) answerUpgrade(sock *websocket.Socket, accept string, deflates bool) error {
	if deflates {
		accept += "\r\nSec-WebSocket-Extensions: " + websocket.DeflateAnswer
	}
	response := []byte("HTTP/1.1 101 Switching Protocols\r\n" +
		"Upgrade: websocket\r\n" +
		"Connection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + accept + "\r\n\r\n")
	n, err := sock.TryWrite(response)
	if err != nil || n == len(response) {
		return err
	}
	return sock.WriteAll(response[n:], h.options.Timeouts.Send)
}

func (h *Handler) upgradeFailed(remote string, err error) {
	h.log.Debug("upgrade failed", zap.String("remote", remote), zap.Error(err))
}
