package fanout

import "github.com/rte-server/rte-server/internal/events"

// Protocol is the hub protocol of a connection.
type Protocol uint8

// The hub protocols of SignalR.
const (
	ProtocolJSON Protocol = iota
	ProtocolMessagePack
	numPlain
)

// numProtocols counts each protocol twice: with frames as they are, and with compressed ones.
const numProtocols = 2 * numPlain

// Deflated returns the same protocol with compressed events, see Options.Deflate.
func (p Protocol) Deflated() Protocol { return p.Plain() + numPlain }

// Plain returns the same protocol without compression.
func (p Protocol) Plain() Protocol { return p % numPlain }

// String returns the name of the protocol as the handshake spells it.
func (p Protocol) String() string {
	if p.Plain() == ProtocolMessagePack {
		return "messagepack"
	}
	return "json"
}

// Frame is one event, encoded for the sockets of one protocol. It is complete, including the WebSocket header, except
// for the receiver's subscription id. All shards share it; it must not change.
type Frame struct {
	// Bytes is the frame. Each delivery copies it and writes the subscription id into the 36 bytes at IDOffset.
	Bytes    []byte
	IDOffset int
}

// splice appends the frame with a subscription id to buf.
func (f Frame) splice(buf []byte, id events.ID) []byte {
	start := len(buf)
	buf = append(buf, f.Bytes...)
	id.Put(buf[start+f.IDOffset:])
	return buf
}

// Encoder encodes events for one protocol.
type Encoder interface {
	// Encode returns the frame of an event. It is called once per event with subscribers, not once per subscriber.
	Encode(ev *events.Event) (Frame, error)
}
