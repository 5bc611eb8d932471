package hub

import "github.com/rte-server/rte-server/internal/fanout"

// Conn is what a session needs of its connection. The transport implements it, once per protocol.
type Conn interface {
	fanout.Writer
	// ID is the public connection id.
	ID() string
	// Protocol is the hub protocol that the handshake chose.
	Protocol() fanout.Protocol
	// Features are the extensions that the client asked for.
	Features() Features
	// EncodeCompletion makes the frame, WebSocket header included, that carries c to the client.
	EncodeCompletion(c *Completion) []byte
	// EncodeNotice makes the frame, WebSocket header included, that invokes the notice's client method with it.
	EncodeNotice(n Notice) []byte
	// EncodeClose makes the last frames of a connection: a SignalR Close message where the reason wants one,
	// and a WebSocket Close frame.
	EncodeClose(reason CloseReason) []byte
}
