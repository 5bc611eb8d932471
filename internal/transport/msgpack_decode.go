package transport

import (
	"encoding/json"

	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/hub"
)

// messagePackCodec is the hub protocol "messagepack" (section 1.10).
type messagePackCodec struct{ keys packKeys }

func (messagePackCodec) protocol() fanout.Protocol { return fanout.ProtocolMessagePack }

func (messagePackCodec) opcode() byte { return opBinary }

func (messagePackCodec) take(pending, p []byte, limit int) (n int, done bool, err error) {
	return takeMessagePack(pending, p, limit)
}

// decode reads a hub message. Elements behind the known ones are ignored.
func (messagePackCodec) decode(message []byte) (messageType, *hub.Invocation, error) {
	r := packReader{data: bodyOf(message)}
	elements := r.arrayLen()
	kind := messageType(r.integer())
	if r.err != nil {
		return 0, nil, r.err
	}
	var inv *hub.Invocation
	switch kind {
	case messageInvocation, messageStreamInvocation:
		inv = r.invocation(elements)
		inv.Streaming = kind == messageStreamInvocation
		if inv.Target == "" || inv.Streaming && inv.ID == "" {
			r.fail()
		}
	case messageStreamItem, messageCancelInvocation, messageCompletion:
		r.headers()
		if id := r.str(); id == "" {
			r.fail()
		}
	}
	if r.err != nil {
		return 0, nil, r.err
	}
	return kind, inv, nil
}

// bodyOf is a message without its length prefix.
func bodyOf(message []byte) []byte {
	for i, b := range message {
		if b < 0x80 {
			return message[i+1:]
		}
	}
	return nil
}

// invocation reads [type, headers, id or nil, target, arguments, stream ids], of which the last may be absent.
func (r *packReader) invocation(elements int) *hub.Invocation {
	inv := &hub.Invocation{}
	r.headers()
	if !r.isNil() {
		inv.ID = r.str()
	}
	inv.Target = r.str()
	for range r.arrayLen() {
		inv.Arguments = append(inv.Arguments, json.RawMessage(r.appendJSON(nil, 2)))
		if r.err != nil {
			return inv
		}
	}
	if elements > 5 && !r.isNil() {
		inv.Streams = r.arrayLen()
	}
	return inv
}

// headers skips the map of strings that most messages begin with.
func (r *packReader) headers() {
	for range r.mapLen() {
		r.str()
		r.str()
		if r.err != nil {
			return
		}
	}
}
