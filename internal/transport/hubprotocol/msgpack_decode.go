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
	switch kind {
	case TypeInvocation, TypeStreamInvocation:
		inv, err := readInvocation(&r, elements, kind == TypeStreamInvocation)
		return kind, inv, err
	case TypeStreamItem, TypeCancelInvocation, TypeCompletion:
		_ = readHeaders(&r)
		id := r.String()
		if id == "" {
			r.Fail()
		}
		if kind == TypeCancelInvocation && r.Err() == nil {
			return kind, &Invocation{ID: id}, nil
		}
	}
	if r.Err() != nil {
		return 0, nil, ErrMalformed
	}
	return kind, nil, nil
}

// decodeNumber reads the number of an Ack or a Sequence message.
func (*messagePackCodec) decodeNumber(message []byte) (number uint64, err error) {
	r := msgpack.NewReader(bodyOf(message))
	if r.ArrayLen() < 2 {
		r.Fail()
	}
	_ = r.Int32() // the type
	number, negative := r.Int()
	if r.Err() != nil || negative {
		return 0, ErrMalformed
	}
	return number, nil
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
// missing. The length prefix tells where the message ends, so errors from the arguments on fail the call alone, as in
// ASP.NET Core.
func readInvocation(r *msgpack.Reader, elements int, streaming bool) (*Invocation, error) {
	inv := &Invocation{Streaming: streaming, Traceparent: readHeaders(r)}
	if !r.TakeNil() {
		inv.ID = r.String()
	}
	inv.Target = r.String()
	if r.Err() != nil || inv.Target == "" || streaming && inv.ID == "" {
		return nil, ErrMalformed
	}
	readArguments(r, elements, inv)
	if r.Err() != nil {
		inv.Arguments, inv.Streams, inv.Malformed = nil, 0, true
	}
	return inv, nil
}

func readArguments(r *msgpack.Reader, elements int, inv *Invocation) {
	if elements < 5 {
		r.Fail()
	}
	for range r.ArrayLen() {
		inv.Arguments = append(inv.Arguments, json.RawMessage(appendAsJSON(nil, r, 2)))
		if r.Err() != nil {
			return
		}
	}
	if elements > 5 && !r.TakeNil() {
		inv.Streams = r.ArrayLen()
	}
}

// readHeaders reads the map of strings that most messages begin with, and returns the only one with a meaning.
func readHeaders(r *msgpack.Reader) (traceparent string) {
	for range r.MapLen() {
		name, value := r.String(), r.String()
		if r.Err() != nil {
			return ""
		}
		if name == "traceparent" {
			traceparent = value
		}
	}
	return traceparent
}
