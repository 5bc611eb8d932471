package transport

import (
	"errors"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/transport/hubprotocol"
	"github.com/rte-server/rte-server/internal/transport/transports"
)

// maxProtocolVersion is the highest version of the hub protocols. All lower ones are accepted (1.5).
const maxProtocolVersion = 2

// maxHandshake bounds the handshake message, its separator included (1.5).
const maxHandshake = 32 << 10

// handshakeFailure is the reason why a connection never had a session, as a metric label.
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
	// handshakeElsewhere: the client continues a connection of another node.
	handshakeElsewhere handshakeFailure = "elsewhere"
	// handshakeFormat: the transport cannot carry the protocol.
	handshakeFormat handshakeFailure = "transfer_format"
)

// handshakeFailures are all reasons.
var handshakeFailures = [...]handshakeFailure{
	handshakeTimeout, handshakeTooLarge, handshakeMalformed, handshakeProtocol, handshakeVersion, handshakeViolation,
	handshakeGone, handshakeDraining, handshakeRevoked, handshakeRefused, handshakeElsewhere, handshakeFormat,
}

// The texts of failed handshakes (1.5), and of a session that could not be opened (D9).
const (
	textHandshakeCanceled = "Handshake was canceled."
	textHandshakeError    = "An unexpected error occurred during connection handshake."
	textConnectionError   = "Connection closed with an error."
)

// handshake acts on the first message: it answers and opens the session. Bytes behind the message are for the session.
func (c *Conn) handshake(message []byte) {
	c.greeted.Store(true)
	c.grown = true
	request, err := hubprotocol.ParseHandshake(message)
	if err != nil {
		c.failHandshake(handshakeMalformed, textHandshakeError)
		return
	}
	protocol, ok := c.h.protocols[strings.ToLower(request.Protocol)]
	if !ok {
		c.failHandshake(handshakeProtocol, "The protocol '"+request.Protocol+"' is not supported.")
		return
	}
	if request.Version > maxProtocolVersion {
		c.failHandshake(handshakeVersion, "The server does not support version "+
			strconv.FormatInt(request.Version, 10)+" of the '"+request.Protocol+"' protocol.")
		return
	}
	if c.transport() == transports.ServerSentEvents && protocol.Name() == fanout.ProtocolMessagePack {
		c.failHandshake(handshakeFormat, "Cannot use the '"+protocol.Name().String()+"' protocol on the current transport. "+
			"The transport does not support 'Binary' transfer format.")
		return
	}
	if c.resumes && request.Version >= resumeVersion {
		c.resume = &resume{sock: c.socket()}
	}
	c.socket().ClearReadDeadline()
	if err := c.WriteAll(protocol.Welcome()); err != nil {
		c.lost()
		return
	}
	c.open(protocol)
}

// open opens the session of a connection after the answer to its handshake.
func (c *Conn) open(protocol *hubprotocol.Protocol) {
	c.messages.Switch(protocol, c.h.options.Limits.MessageBytes)
	c.setProtocol(protocol)
	c.expireWith(c.claims)
	session, err := c.h.options.Open(c, c.claims)
	switch {
	case errors.Is(err, hub.ErrDraining):
		c.ends(hub.CloseDrain)
		c.handshakeFailed(handshakeDraining)
		c.hangUp(c.EncodeClose(hub.CloseDrain))
		return
	case errors.Is(err, hub.ErrRevoked):
		c.ends(hub.CloseRevoked)
		c.handshakeFailed(handshakeRevoked)
		c.hangUp(c.EncodeClose(hub.CloseRevoked))
		return
	case err != nil:
		c.h.log.Warn("session refused", zap.String("connection", c.ID()), zap.Error(err))
		c.handshakeFailed(handshakeRefused)
		c.hangUp(protocol.Close(textConnectionError, false))
		return
	}
	c.session = session
	c.markOpen()
	c.h.metrics.handshakes.Inc()
	c.phase = phaseOpen
}

// markOpen lets refreshes reach the session, and applies the one that came before the session was open.
func (c *Conn) markOpen() {
	c.h.refresh.Lock()
	c.opened.Store(true)
	c.claims = nil
	var changed *Conn
	if c.early != nil {
		changed, _, _ = c.h.replaceClaimsLocked(c, c.early)
		c.early = nil
	}
	c.h.refresh.Unlock()
	if changed != nil {
		changed.session.Recheck(c.h.invoking)
	}
}

// setProtocol counts the connection under its protocol from now on.
func (c *Conn) setProtocol(protocol *hubprotocol.Protocol) {
	c.h.metrics.connections[protocolNone].Dec()
	c.protocol = protocol
	c.h.metrics.connections[c.metricsProtocol()].Inc()
}

// failHandshake answers a handshake that failed (1.5), and counts it.
func (c *Conn) failHandshake(reason handshakeFailure, text string) {
	c.handshakeFailed(reason)
	if reason != handshakeTimeout {
		c.h.failed(c.owner.organizationUser(), "handshake_"+string(reason))
	}
	if text == textHandshakeError && c.h.options.Protocol.DetailedErrors {
		text += " InvalidDataException: The handshake request is malformed."
	}
	c.hangUp(hubprotocol.FailedHandshake(text))
}

// handshakeFailed counts and records the failure.
func (c *Conn) handshakeFailed(reason handshakeFailure) {
	c.h.metrics.handshakesFailed[reason].Inc()
	c.because(detailOfHandshake(reason))
	if reason != handshakeGone {
		c.ends(hub.CloseHandshake)
	}
}
