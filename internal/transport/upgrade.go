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
)

// isWebSocket says whether a GET asks for a WebSocket (RFC 6455 section 4.2.1).
func isWebSocket(r *http.Request) bool {
	return hasToken(r.Header.Values("Connection"), "upgrade") && hasToken(r.Header.Values("Upgrade"), "websocket")
}

// hasToken looks into comma-separated lists.
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

// serveUpgrade makes a connection of a request. Subprotocols and extensions that the client offers are declined by not
// being mentioned (W1, W2); any Origin will do, as pages cannot send a token that they do not have.
func (h *Handler) serveUpgrade(w http.ResponseWriter, r *http.Request, claims *authz.Claims) {
	if r.Header.Get("Sec-WebSocket-Version") != "13" {
		w.Header().Set("Sec-WebSocket-Version", "13")
		h.refuse(w, requestHub, refusedUpgradeVersion)
		return
	}
	accept, ok := acceptKey(r.Header.Values("Sec-WebSocket-Key"))
	if !ok || !r.ProtoAtLeast(1, 1) || r.ContentLength != 0 {
		h.refuse(w, requestHub, refusedBadUpgrade)
		return
	}
	c := &Conn{h: h, features: hub.ParseFeatures(queryValue(r, "features")), reader: reader{claims: claims}}
	if reason, ok := h.admit(c, queryValue(r, "id")); !ok {
		h.refuse(w, requestHub, reason)
		return
	}
	conn, buffered, err := h.switchProtocols(w, accept)
	if err != nil {
		h.registry.remove(c)
		h.log.Debug("upgrade failed", zap.String("remote", r.RemoteAddr), zap.Error(err))
		return
	}
	sock := newSocket(conn, &h.buffers)
	sock.setReadDeadline(h.options.HandshakeTimeout)
	if !h.registry.attach(c, sock) {
		h.registry.remove(c)
		sock.abort()
		return
	}
	c.start(buffered)
}

// admit gives a connection its id: the one of its token, which it uses up, or a new one (skipNegotiation).
func (h *Handler) admit(c *Conn, token string) (refusal, bool) {
	if h.draining.Load() {
		return refusedDraining, false
	}
	if token == "" {
		c.id = newConnID()
		return h.registry.add(c)
	}
	id, expires, ok := h.tokens.parse(token, c.claims)
	if !ok {
		return refusedUnknownID, false
	}
	c.id = id
	return h.registry.redeem(c, expires, time.Now())
}

// acceptKey answers the key of the client (RFC 6455 section 4.2.2).
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

// switchProtocols takes the connection from net/http and answers 101. buffered is what the client has sent already.
// The buffers of net/http, 8 KB, are not kept.
func (h *Handler) switchProtocols(w http.ResponseWriter, accept string) (conn net.Conn, buffered []byte, err error) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return nil, nil, err
	}
	if n := rw.Reader.Buffered(); n > 0 {
		peeked, _ := rw.Peek(n) // cannot fail: they are there
		buffered = append(buffered, peeked...)
	}
	response := "HTTP/1.1 101 Switching Protocols\r\n" +
		"Upgrade: websocket\r\n" +
		"Connection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + accept + "\r\n\r\n"
	if err := conn.SetDeadline(time.Now().Add(h.options.SendTimeout)); err != nil {
		return nil, nil, closeOnError(conn, err)
	}
	if _, err := conn.Write([]byte(response)); err != nil {
		return nil, nil, closeOnError(conn, err)
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return nil, nil, closeOnError(conn, err)
	}
	return conn, buffered, nil
}

// closeOnError closes a connection that is of no use after err.
func closeOnError(conn net.Conn, err error) error {
	_ = conn.Close() // err is what is told
	return err
}
