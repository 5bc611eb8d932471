package hubprotocol

import (
	"encoding/json"

	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/msgpack"
	"github.com/rte-server/rte-server/internal/transport/websocket"
)

// messagePackCodec is the hub protocol "messagepack" (section 1.10).
type messagePackCodec struct {
	keys    packKeys
	objects packObjects
}

func (*messagePackCodec) protocol() fanout.Protocol { return fanout.ProtocolMessagePack }

func (*messagePackCodec) opcode() byte { return websocket.OpBinary }

func (*messagePackCodec) take(pending, p []byte, limit int) (n int, done bool, err error) {
	return takeMessagePack(pending, p, limit)
}

// decode reads a hub message. It ignores elements behind the known ones.
func (*messagePackCodec) decode(message []byte) (MessageType, *Invocation, error) {
	r := msgpack.NewReader(bodyOf(message))
	elements := r.ArrayLen()
	kind := MessageType(r.Int32())
	if r.Err() != nil {
		return 0, nil, ErrMalformed
	}
	var inv *Invocation
	switch kind {
	case TypeInvocation, TypeStreamInvocation:
		inv = readInvocation(&r, elements)
		inv.Streaming = kind == TypeStreamInvocation
		if inv.Target == "" || inv.Streaming && inv.ID == "" {
			r.Fail()
		}
	case TypeStreamItem, TypeCancelInvocation, TypeCompletion:
		skipHeaders(&r)
		if id := r.String(); id == "" {
			r.Fail()
		}
	}
	if r.Err() != nil {
		return 0, nil, ErrMalformed
	}
	return kind, inv, nil
}

// bodyOf returns a message without its length prefix.
func bodyOf(message []byte) []byte {
	for i, b := range message {
		if b < 0x80 {
			return message[i+1:]
		}
	}
	return nil
}

// readInvocation reads [type, headers, id or nil, target, arguments, stream ids] behind the type. The stream ids may be
// missing.
func readInvocation(r *msgpack.Reader, elements int) *Invocation {
	inv := &Invocation{}
	skipHeaders(r)
	if !r.TakeNil() {
		inv.ID = r.String()
	}
	inv.Target = r.String()
	for range r.ArrayLen() {
		inv.Arguments = append(inv.Arguments, json.RawMessage(appendAsJSON(nil, r, 2)))
		if r.Err() != nil {
			return inv
		}
	}
	if elements > 5 && !r.TakeNil() {
		inv.Streams = r.ArrayLen()
	}
	return inv
}

// skipHeaders reads the map of strings that most messages begin with.
func skipHeaders(r *msgpack.Reader) {
	for range r.MapLen() {
		_ = r.String()
		_ = r.String()
		if r.Err() != nil {
			return
		}
	}
}
