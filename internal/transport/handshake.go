package transport

import (
	"errors"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/hub"
)

// maxProtocolVersion is the highest version of the hub protocols; lower ones are all accepted (1.5).
const maxProtocolVersion = 2

// handshakeFailure is why a connection never had a session, as a metric label.
type handshakeFailure string

const (
	handshakeTimeout   handshakeFailure = "timeout"
	handshakeTooLarge  handshakeFailure = "too_large"
	handshakeMalformed handshakeFailure = "malformed"
	handshakeProtocol  handshakeFailure = "unknown_protocol"
	handshakeVersion   handshakeFailure = "unsupported_version"
	handshakeViolation handshakeFailure = "websocket"
	handshakeGone      handshakeFailure = "gone"
	handshakeDraining  handshakeFailure = "draining"
	handshakeRevoked   handshakeFailure = "revoked"
	handshakeRefused   handshakeFailure = "refused"
)

// handshakeFailures are all of them.
var handshakeFailures = [...]handshakeFailure{
	handshakeTimeout, handshakeTooLarge, handshakeMalformed, handshakeProtocol, handshakeVersion, handshakeViolation,
	handshakeGone, handshakeDraining, handshakeRevoked, handshakeRefused,
}

// The texts of failed handshakes (1.5), and of a session that could not be opened (D9).
const (
	textHandshakeCanceled = "Handshake was canceled."
	textHandshakeError    = "An unexpected error occurred during connection handshake."
	textConnectionError   = "Connection closed with an error."
)

// handshakeRequest is the first message of a client, JSON whatever the protocol.
type handshakeRequest struct {
	protocol string
	version  int64
}

// parseHandshake reads a handshake with its record separator. Both properties are needed, others are skipped.
func parseHandshake(message []byte) (handshakeRequest, error) {
	var (
		request                 handshakeRequest
		hasProtocol, hasVersion bool
	)
	err := scanObject(message[:len(message)-1], func(name string, value []byte) error {
		ok := true
		switch name {
		case "protocol":
			request.protocol, hasProtocol = unquote(value)
			ok = hasProtocol
		case "version":
			request.version, hasVersion = parseInt(value)
			ok = hasVersion
		}
		if !ok {
			return errMalformed
		}
		return nil
	})
	if err == nil && (!hasProtocol || !hasVersion) {
		err = errMalformed
	}
	return request, err
}

// handshake acts on the first message: it answers and opens the session. What follows in the same bytes is for the
// session.
func (c *Conn) handshake(message []byte) {
	c.greeted.Store(true)
	c.grown = true
	request, err := parseHandshake(message)
	if err != nil {
		c.failHandshake(handshakeMalformed, textHandshakeError)
		return
	}
	protocol, ok := c.h.protocols[strings.ToLower(request.protocol)]
	if !ok {
		c.failHandshake(handshakeProtocol, "The protocol '"+request.protocol+"' is not supported.")
		return
	}
	if request.version > maxProtocolVersion {
		c.failHandshake(handshakeVersion, "The server does not support version "+
			strconv.FormatInt(request.version, 10)+" of the '"+request.protocol+"' protocol.")
		return
	}
	c.sock.clearReadDeadline()
	if err := c.WriteAll(protocol.welcome); err != nil {
		c.lost()
		return
	}
	c.open(protocol)
}

// open opens the session of a connection whose handshake was answered.
func (c *Conn) open(protocol *hubProtocol) {
	c.messages.take = protocol.take
	c.setProtocol(protocol)
	c.expireWith(c.claims)
	session, err := c.h.options.Open(c, c.claims)
	switch {
	case errors.Is(err, hub.ErrDraining):
		c.h.metrics.handshakesFailed[handshakeDraining].Inc()
		c.hangUp(c.EncodeClose(hub.CloseDrain))
		return
	case errors.Is(err, hub.ErrRevoked):
		c.h.metrics.handshakesFailed[handshakeRevoked].Inc()
		c.hangUp(c.EncodeClose(hub.CloseRevoked))
		return
	case err != nil:
		c.h.log.Warn("session refused", zap.String("connection", c.ID()), zap.Error(err))
		c.h.metrics.handshakesFailed[handshakeRefused].Inc()
		c.hangUp(protocol.closing(textConnectionError, false))
		return
	}
	c.session = session
	c.opened.Store(true)
	c.claims = nil
	c.h.metrics.handshakes.Inc()
	c.phase = phaseOpen
}

// setProtocol counts the connection under its protocol from now on.
func (c *Conn) setProtocol(protocol *hubProtocol) {
	c.h.metrics.connections[protocolNone].Dec()
	c.protocol = protocol
	c.h.metrics.connections[c.metricsProtocol()].Inc()
}

// failHandshake answers a handshake that failed (1.5). The answer is a text frame even for MessagePack (W3).
func (c *Conn) failHandshake(reason handshakeFailure, text string) {
	c.h.metrics.handshakesFailed[reason].Inc()
	message := appendJSONString(append(newFrame(128), `{"error":`...), text)
	frame := sealFrame(opText, append(message, '}', recordSeparator))
	c.hangUp(appendCloseFrame(frame, statusNormal))
}
