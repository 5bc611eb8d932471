package hubprotocol

import (
	"errors"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/transport/websocket"
)

// RecordSeparator ends every JSON hub message and every handshake message.
const RecordSeparator = 0x1e

var (
	// ErrTooLarge means that a hub message is longer than the limit (D8).
	ErrTooLarge = errors.New("hub message exceeds the limit")
	// ErrMalformed means that a hub message breaks its protocol (D7).
	ErrMalformed = errors.New("malformed hub message")
)

// codec is one hub protocol: how its messages are written and read.
type codec interface {
	protocol() fanout.Protocol
	// opcode is the type of the frames that carry the protocol (W3).
	opcode() byte
	// take finds the end of a hub message, see Splitter.
	take(pending, p []byte, limit int) (n int, done bool, err error)
	// decode reads a hub message, see Protocol.Decode.
	decode(message []byte) (MessageType, *Invocation, error)
	// appendCompletion, appendNotice, appendClose and appendPing add hub messages, separator or length prefix included.
	appendCompletion(dst []byte, c *Completion) []byte
	appendNotice(dst []byte, target string, argument any) []byte
	appendClose(dst []byte, text string, allowReconnect bool) []byte
	appendPing(dst []byte) []byte
	// appendNumber adds an Ack or a Sequence message.
	appendNumber(dst []byte, kind MessageType, number uint64) []byte
	// decodeNumber reads the number of an Ack or a Sequence message.
	decodeNumber(message []byte) (number uint64, err error)
}

// Protocol is one hub protocol. Its methods return frames, WebSocket header included.
type Protocol struct {
	codec   codec
	ping    []byte
	welcome []byte
}

// Protocols returns the hub protocols by the name that the handshake uses. The style applies to the MessagePack results
// of hub methods and to notices.
func Protocols(style events.PackStyle) map[string]*Protocol {
	protocols := map[string]*Protocol{}
	for _, c := range []codec{jsonCodec{}, &messagePackCodec{keys: packKeys{style}}} {
		p := &Protocol{codec: c}
		p.ping = p.seal(c.appendPing(websocket.NewBuffer(16)))
		p.welcome = p.seal(append(websocket.NewBuffer(3), '{', '}', RecordSeparator))
		protocols[c.protocol().String()] = p
	}
	return protocols
}

// Name returns the protocol as the fan-out knows it.
func (p *Protocol) Name() fanout.Protocol { return p.codec.protocol() }

// Decode reads a hub message, its separator or length prefix included. The invocation is set for TypeInvocation and
// TypeStreamInvocation. The error is ErrMalformed.
func (p *Protocol) Decode(message []byte) (MessageType, *Invocation, error) {
	return p.codec.decode(message)
}

// Welcome returns the frame that answers a successful handshake.
func (p *Protocol) Welcome() []byte { return p.welcome }

// Ping returns the frame of a Ping message.
func (p *Protocol) Ping() []byte { return p.ping }

// Completion returns the frame that carries a completion.
func (p *Protocol) Completion(c *Completion) []byte {
	return p.seal(p.codec.appendCompletion(websocket.NewBuffer(max(128, len(c.Record)+1, len(c.ID)+c.Size)), c))
}

// Notice returns the frame of an Invocation that wants no answer: of the client method target with one argument.
func (p *Protocol) Notice(target string, argument any) []byte {
	return p.seal(p.codec.appendNotice(websocket.NewBuffer(512), target, argument))
}

// Ack returns the frame of a message that acknowledges the messages of the client up to a number.
func (p *Protocol) Ack(number uint64) []byte { return p.number(TypeAck, number) }

// Sequence returns the frame of a message that names the number of the first numbered message behind it.
func (p *Protocol) Sequence(number uint64) []byte { return p.number(TypeSequence, number) }

func (p *Protocol) number(kind MessageType, number uint64) []byte {
	return p.seal(p.codec.appendNumber(websocket.NewBuffer(48), kind, number))
}

// DecodeNumber reads the number of an Ack or a Sequence message. The error is ErrMalformed.
func (p *Protocol) DecodeNumber(message []byte) (number uint64, err error) {
	return p.codec.decodeNumber(message)
}

// Close returns a Close message and, behind it, a Close frame (W8). An empty text is left out of the message.
func (p *Protocol) Close(text string, allowReconnect bool) []byte {
	frame := p.seal(p.codec.appendClose(websocket.NewBuffer(96), text, allowReconnect))
	return websocket.AppendClose(frame, websocket.StatusNormal)
}

// seal makes a frame of buf, see websocket.Seal.
func (p *Protocol) seal(buf []byte) []byte { return websocket.Seal(p.codec.opcode(), buf) }
