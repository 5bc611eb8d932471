package hubprotocol

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/transport/websocket"
)

// jsonCodec is the hub protocol "json" (section 1.6).
type jsonCodec struct{}

func (jsonCodec) protocol() fanout.Protocol { return fanout.ProtocolJSON }

func (jsonCodec) opcode() byte { return websocket.OpText }

func (jsonCodec) take(pending, p []byte, limit int) (n int, done bool, err error) {
	return takeJSON(pending, p, limit)
}

// jsonMessage is a hub message with the properties that the server looks at. Properties may come in any order, the
// last of a name counts, null is like none, and unknown ones are skipped.
type jsonMessage struct {
	kind         MessageType
	hasType      bool
	invocationID string
	target       string
	arguments    []json.RawMessage
	hasArguments bool
	streams      int
	hasResult    bool
	hasError     bool
	hasItem      bool
}

// decode reads a hub message.
func (jsonCodec) decode(message []byte) (MessageType, *Invocation, error) {
	text := message[:len(message)-1]
	if string(text) == `{"type":6}` {
		return TypePing, nil, nil // most of what an idle client sends
	}
	// What is kept of an invocation is kept beyond the read buffer.
	text = slices.Clone(text)
	var m jsonMessage
	if err := scanObject(text, m.set); err != nil {
		return 0, nil, err
	}
	if !m.valid() {
		return 0, nil, ErrMalformed
	}
	if m.kind != TypeInvocation && m.kind != TypeStreamInvocation {
		return m.kind, nil, nil
	}
	return m.kind, &Invocation{
		ID:        m.invocationID,
		Target:    m.target,
		Arguments: m.arguments,
		Streams:   m.streams,
		Streaming: m.kind == TypeStreamInvocation,
	}, nil
}

// set takes a property.
func (m *jsonMessage) set(name string, value []byte) error {
	ok := true
	null := string(value) == "null"
	switch name {
	case "type":
		var number int64
		number, ok = parseInt(value)
		m.kind, m.hasType = MessageType(number), ok
	case "invocationId":
		m.invocationID, ok = "", null
		if !null {
			m.invocationID, ok = unquote(value)
		}
	case "target":
		m.target, ok = unquote(value)
	case "arguments":
		m.arguments, m.hasArguments = nil, true
		return scanArray(value, func(argument []byte) error {
			m.arguments = append(m.arguments, argument)
			return nil
		})
	case "streamIds":
		m.streams = 0
		if null {
			return nil
		}
		return scanArray(value, func(id []byte) error {
			m.streams++
			return isString(id)
		})
	case "headers":
		if null {
			return nil
		}
		if value[0] != '{' {
			return ErrMalformed
		}
		return scanObject(value, func(_ string, header []byte) error { return isString(header) })
	case "error":
		m.hasError = !null
		ok = null || value[0] == '"'
	case "result":
		m.hasResult = true
	case "item":
		m.hasItem = true
	case "allowReconnect":
		ok = value[0] == 't' || value[0] == 'f'
	}
	if !ok {
		return ErrMalformed
	}
	return nil
}

// valid says whether the message has the properties that its type needs (D7).
func (m *jsonMessage) valid() bool {
	switch m.kind {
	case TypeInvocation:
		return m.target != "" && m.hasArguments
	case TypeStreamInvocation:
		return m.target != "" && m.hasArguments && m.invocationID != ""
	case TypeStreamItem:
		return m.invocationID != "" && m.hasItem
	case TypeCompletion:
		return m.invocationID != "" && (!m.hasError || !m.hasResult)
	case TypeCancelInvocation:
		return m.invocationID != ""
	default:
		return m.hasType
	}
}

func isString(value []byte) error {
	if value[0] != '"' {
		return ErrMalformed
	}
	return nil
}

// parseInt reads a number that is an int32, written without fraction and exponent, as .NET demands it.
func parseInt(text []byte) (n int64, ok bool) {
	n, err := strconv.ParseInt(string(text), 10, 32)
	return n, err == nil
}
