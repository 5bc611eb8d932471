package fanout

import "github.com/rte-server/rte-server/internal/events"

// Protocol is the hub protocol that a connection speaks.
type Protocol uint8

// The hub protocols of SignalR.
const (
	ProtocolJSON Protocol = iota
	ProtocolMessagePack
	numProtocols
)

// String is the name of the protocol as the handshake spells it.
func (p Protocol) String() string {
	if p == ProtocolMessagePack {
		return "messagepack"
	}
	return "json"
}

// Frame is one event ready for the sockets of one protocol: everything, the WebSocket header included, but the
// subscription id of the receiver. It is shared by all shards and must not be changed.
type Frame struct {
	// Bytes is the frame; at IDOffset stand 36 bytes that are overwritten, in a copy, by the subscriber's id.
	Bytes    []byte
	IDOffset int
}

// splice adds the frame to buf with the subscriber's id in its place.
func (f *Frame) splice(buf []byte, id events.ID) []byte {
	start := len(buf)
	buf = append(buf, f.Bytes...)
	id.Put(buf[start+f.IDOffset:])
	return buf
}

// Encoder makes the frame of an event for one protocol.
type Encoder interface {
	// Encode is called once per event that somebody listens to, never per subscriber.
	Encode(ev *events.Event) (Frame, error)
}
