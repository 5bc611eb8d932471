package transport

import (
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/hub"
)

// messageType is the type number of a hub message (section 1.6).
type messageType int

// The hub messages. Clients may send others, which are ignored (D4).
const (
	messageInvocation       messageType = 1
	messageStreamItem       messageType = 2
	messageCompletion       messageType = 3
	messageStreamInvocation messageType = 4
	messageCancelInvocation messageType = 5
	messagePing             messageType = 6
	messageClose            messageType = 7
)

// codec is one hub protocol. Codecs hold no state and are shared by all connections.
type codec interface {
	protocol() fanout.Protocol
	// opcode is the frame type that carries the protocol (W3).
	opcode() byte
	// take finds the end of a hub message, see splitter.
	take(pending, p []byte, limit int) (n int, done bool, err error)
	// decode reads a hub message, its separator or length prefix included. The invocation is set for
	// messageInvocation and messageStreamInvocation and does not refer to message.
	decode(message []byte) (messageType, *hub.Invocation, error)
	// appendCompletion, appendNotice, appendClose and appendPing add hub messages, separator or length prefix included.
	appendCompletion(dst []byte, c *hub.Completion) []byte
	appendNotice(dst []byte, n hub.Notice) []byte
	appendClose(dst []byte, text string, allowReconnect bool) []byte
	appendPing(dst []byte) []byte
}

// hubProtocol is a codec and the frames of it that can be made once.
type hubProtocol struct {
	codec
	ping    []byte
	welcome []byte // the answer to a handshake that succeeded
}

// hubProtocols are the protocols by the name that the handshake uses.
func hubProtocols(keys events.PackStyle) map[string]*hubProtocol {
	protocols := map[string]*hubProtocol{}
	for _, c := range []codec{jsonCodec{}, messagePackCodec{packKeys{keys}}} {
		p := &hubProtocol{codec: c}
		p.ping = p.frame(p.appendPing(newFrame(16)))
		p.welcome = p.frame(append(newFrame(3), '{', '}', recordSeparator))
		protocols[p.protocol().String()] = p
	}
	return protocols
}

// frame makes a frame of buf, see sealFrame.
func (p *hubProtocol) frame(buf []byte) []byte { return sealFrame(p.opcode(), buf) }

// closing is a Close hub message and a Close frame (W8).
func (p *hubProtocol) closing(text string, allowReconnect bool) []byte {
	return appendCloseFrame(p.frame(p.appendClose(newFrame(96), text, allowReconnect)), statusNormal)
}
