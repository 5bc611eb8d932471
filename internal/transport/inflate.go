package transport

import (
	"errors"

	"github.com/rte-server/rte-server/internal/transport/hubprotocol"
	"github.com/rte-server/rte-server/internal/transport/websocket"
)

// inflatedUnit is how many inflated bytes count as a frame for Limits.FrameRate: 256 bytes of a client can inflate to
// 256 KiB.
const inflatedUnit = 1 << 10

// receiveCompressed works on a piece of a compressed WebSocket message. It keeps the pieces until the last one has
// come, in the memory of Limits.PendingBytes. A message may inflate to Limits.MessageBytes, also if it carries several
// hub messages.
func (c *Conn) receiveCompressed(part *websocket.Part) {
	if c.phase >= phaseClosing {
		return
	}
	limit, message := c.h.options.Limits.MessageBytes, part.Payload
	if len(c.deflated)+len(message) > limit {
		c.refuseMessage(hubprotocol.ErrTooLarge)
		return
	}
	if len(c.deflated) > 0 || !part.End {
		c.deflated = append(c.deflated, message...)
		if !part.End {
			if !c.reserve(len(c.deflated) + c.messages.Pending()) {
				c.refuseMessage(errNoMemory)
			}
			return
		}
		message = c.deflated
	}
	c.deflated = nil
	text, err := c.h.inflaters.Inflate(message, limit)
	switch {
	case errors.Is(err, websocket.ErrInflated):
		c.refuseMessage(hubprotocol.ErrTooLarge)
	case err != nil:
		c.violated(websocket.Violation{Status: websocket.StatusInvalidText, Kind: websocket.ViolationDeflate})
	default:
		c.units += len(text) / inflatedUnit
		c.grown = true
		c.receive(text)
	}
}
