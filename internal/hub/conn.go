package hub

import (
	"net/netip"

	"github.com/rte-server/rte-server/internal/fanout"
)

// Conn is the connection of a session. The transport implements it, once per protocol: the hub does not import it.
type Conn interface {
	fanout.Writer
	// ID returns the public connection id.
	ID() string
	// Protocol returns the hub protocol that the handshake chose.
	Protocol() fanout.Protocol
	// Resumes reports whether the connection may continue on another socket.
	Resumes() bool
	// Features returns the extensions that the client asked for.
	Features() Features
	// Remote describes the other end of the connection at this moment.
	Remote() Remote
	// EncodeCompletion returns the frame, WebSocket header included, that carries c to the client.
	EncodeCompletion(c *Completion) []byte
	// EncodeNotice returns the frame, WebSocket header included, that invokes the client method of the notice with it.
	EncodeNotice(n Notice) []byte
	// EncodeClose returns the last frames of a connection: a SignalR Close message if the reason needs one, and a
	// WebSocket Close frame.
	EncodeClose(reason CloseReason) []byte
}

// Remote describes the other end of a connection.
type Remote struct {
	Address        netip.Addr // of the client; zero: not known
	Agent          string     // the client's library and its version, in its own words, cleaned and bounded; may be empty
	Received, Sent int64      // bytes on the connection
}
