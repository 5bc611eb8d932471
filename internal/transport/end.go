package transport

import (
	"net/netip"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/transport/transports"
	"github.com/rte-server/rte-server/internal/transport/websocket"
)

// End describes the end of a connection.
type End struct {
	ID     string
	Claims *authz.Claims
	// Transport carried the connection.
	Transport transports.Transport
	Reason    hub.CloseReason
	// Detail is the cause in a stable word, one of few; empty: the reason is the cause.
	Detail   string
	Address  netip.Addr    // of the client; zero: not known
	Duration time.Duration // since the connection was opened
}

// endDetail is the cause of an end as End.Detail has it. The words of handshake failures and of violations follow.
type endDetail uint8

const (
	detailNone endDetail = iota
	detailTooLarge
	detailMalformed
	detailNoMemory
	detailOutbox
	detailNothingReceived
	detailWriteFailed
	detailReadFailed
	detailUnconfirmed
	detailStreamEnded
	detailPanic
	detailNoPoll
	detailHandshake // the first of handshakeFailures
	detailViolation = detailHandshake + endDetail(len(handshakeFailures))
)

// detailOfViolation returns the detail of a breach of RFC 6455.
func detailOfViolation(kind websocket.ViolationKind) endDetail {
	for i, known := range websocket.ViolationKinds() {
		if known == kind {
			return detailViolation + endDetail(i)
		}
	}
	return detailNone
}

// detailOfHandshake returns the detail of a handshake that failed.
func detailOfHandshake(failure handshakeFailure) endDetail {
	for i, known := range handshakeFailures {
		if known == failure {
			return detailHandshake + endDetail(i)
		}
	}
	return detailNone
}

// String returns the word of End.Detail.
func (d endDetail) String() string {
	switch {
	case d >= detailViolation:
		return string(websocket.ViolationKinds()[d-detailViolation])
	case d >= detailHandshake:
		return string(handshakeFailures[d-detailHandshake])
	}
	return [detailHandshake]string{
		"", protocolErrorTooLarge, protocolErrorMalformed, protocolErrorNoMemory, "outbox_full", "nothing_received",
		"write_failed", "read_failed", "unconfirmed", "stream_ended", "panic", "no_poll",
	}[d]
}

// explanation returns the exception that a client is shown behind the text of its Close message, with
// ProtocolOptions.DetailedErrors.
func (c *Conn) explanation(reason hub.CloseReason) string {
	switch reason {
	case hub.CloseSlow:
		return "OperationCanceledException: The client did not read what was sent to it."
	case hub.CloseSilent:
		return "OperationCanceledException: Client hasn't sent a message/ping within the configured ClientTimeoutInterval."
	case hub.CloseDuplicate:
		return "InvalidOperationException: The connection token was used before."
	case hub.CloseRevoked:
		return "InvalidOperationException: The token was revoked."
	}
	switch c.detail {
	case detailTooLarge:
		return "InvalidDataException: The maximum message size was exceeded."
	case detailNoMemory:
		return "InvalidOperationException: The server has no memory for another large message."
	}
	return "InvalidDataException: The message is malformed."
}

// because records the cause of the end that the reader is about to make. The first one counts.
func (c *Conn) because(d endDetail) {
	if c.detail == detailNone {
		c.detail = d
	}
}

// ends records the reason for the end of the connection. The first one counts.
func (c *Conn) ends(reason hub.CloseReason) { c.endReason.CompareAndSwap(0, uint32(reason)+1) }

// reportEnd counts the end and calls Options.Ended. The reader calls it once, when it is over.
func (c *Conn) reportEnd() {
	reason := hub.CloseGone
	if r := c.endReason.Load(); r != 0 {
		reason = hub.CloseReason(r - 1) //nolint:gosec // it was set from one
	}
	duration := time.Since(c.h.started) - c.since
	c.h.metrics.lifetimes.ended(c.transport(), reason, duration)
	if c.h.options.Ended == nil {
		return
	}
	claims := c.claims
	if c.session != nil {
		claims = c.session.Claims()
	}
	c.h.options.Ended(End{
		ID: c.ID(), Claims: claims, Transport: c.transport(), Reason: reason, Detail: c.causeOf(reason).String(),
		Address:  c.owner.address,
		Duration: duration,
	})
}

// causeOf returns the detail of an end: what the reader recorded, or what the shard found.
func (c *Conn) causeOf(reason hub.CloseReason) endDetail {
	switch {
	case reason == hub.CloseSlow:
		return detailOutbox
	case reason == hub.CloseSilent && c.link != nil && c.link.abandoned.Load():
		return detailNoPoll
	case reason == hub.CloseSilent:
		return detailNothingReceived
	case reason == hub.CloseGone && c.panicked.Load():
		return detailPanic
	case reason == hub.CloseGone && c.deserted.Load():
		return detailUnconfirmed
	case reason == hub.CloseGone && c.ended.Load() == uint32(fanout.EndFailed)+1:
		return detailWriteFailed
	case reason == hub.CloseGone || reason == hub.CloseProtocolError || reason == hub.CloseHandshake:
		return c.detail
	default:
		return detailNone
	}
}
