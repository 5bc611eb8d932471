package hubprotocol

import (
	"encoding/json"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/jsonscan"
	"github.com/rte-server/rte-server/internal/transport/websocket"
)

// maxDepth bounds the nesting of objects and arrays in a hub message, the message itself included (section 1.6).
const maxDepth = 64

// jsonCodec is the hub protocol "json" (section 1.6).
type jsonCodec struct{}

func (jsonCodec) protocol() fanout.Protocol { return fanout.ProtocolJSON }

func (jsonCodec) opcode() byte { return websocket.OpText }

func (jsonCodec) take(pending, p []byte, limit int) (n int, done bool, err error) {
	return takeJSON(pending, p, limit)
}

// jsonMessage has the properties of a hub message that the server reads. Properties may come in any order, the last one
// of a name counts, null counts as missing, and unknown ones are skipped.
type jsonMessage struct {
	kind         MessageType
	hasType      bool
	invocationID string
	target       string
	hasTarget    bool
	arguments    []json.RawMessage
	hasArguments bool
	streams      int
	traceparent  string
	hasResult    bool
	hasError     bool
	hasItem      bool
}

// decode reads a hub message.
func (jsonCodec) decode(message []byte) (MessageType, *Invocation, error) {
	text := message[:len(message)-1]
	if string(text) == `{"type":6}` {
		return TypePing, nil, nil // an idle client sends little else
	}
	text = slices.Clone(text) // the parts of an invocation outlive the read buffer
	var m jsonMessage
	if err := readObject(text, m.set); err != nil || !m.valid() {
		return 0, nil, ErrMalformed
	}
	switch m.kind {
	case TypeInvocation, TypeStreamInvocation:
	case TypeCancelInvocation:
		return m.kind, &Invocation{ID: m.invocationID}, nil
	default:
		return m.kind, nil, nil
	}
	return m.kind, &Invocation{
		ID:        m.invocationID,
		Target:    m.target,
		Arguments: m.arguments,
		Streams:   m.streams,
		Streaming: m.kind == TypeStreamInvocation, Traceparent: m.traceparent,
	}, nil
}

// decodeNumber reads the number of an Ack or a Sequence message.
func (jsonCodec) decodeNumber(message []byte) (number uint64, err error) {
	found := false
	err = readObject(message[:len(message)-1], func(name, value []byte) error {
		if string(name) == "sequenceId" {
			n, err := strconv.ParseInt(string(value), 10, 64)
			if err != nil || n < 0 {
				return ErrMalformed
			}
			number, found = uint64(n), true
		}
		return nil
	})
	if err != nil || !found {
		return 0, ErrMalformed
	}
	return number, nil
}

// readObject reads a hub message or a handshake, which is one object in UTF-8, and calls visit with its members.
func readObject(text []byte, visit func(name, value []byte) error) error {
	if !utf8.Valid(text) {
		return ErrMalformed
	}
	return jsonscan.Members(text, maxDepth, visit)
}

// set takes a property.
func (m *jsonMessage) set(name, value []byte) error {
	ok := true
	null := string(value) == "null"
	switch string(name) {
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
		m.hasTarget = ok
	case "arguments":
		m.arguments, m.hasArguments = nil, true
		return jsonscan.Elements(value, maxDepth-1, func(argument []byte) error {
			m.arguments = append(m.arguments, argument)
			return nil
		})
	case "streamIds":
		m.streams = 0
		if null {
			return nil
		}
		return jsonscan.Elements(value, maxDepth-1, func(id []byte) error {
			m.streams++
			return checkString(id)
		})
	case "headers":
		if null {
			return nil
		}
		return jsonscan.Members(value, maxDepth-1, func(name, header []byte) error {
			if string(name) == "traceparent" {
				m.traceparent, _ = unquote(header)
			}
			return checkString(header)
		})
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

// valid reports whether the message has the properties that its type requires (D7).
func (m *jsonMessage) valid() bool {
	switch m.kind {
	case TypeInvocation: // an empty target is an unknown method, an error of that call
		return m.hasTarget && m.hasArguments
	case TypeStreamInvocation:
		return m.hasTarget && m.hasArguments && m.invocationID != ""
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

// checkString returns an error for a value that is not a string. The value was checked before.
func checkString(value []byte) error {
	if value[0] != '"' {
		return ErrMalformed
	}
	return nil
}

// unquote returns a copy of the text of a JSON string; ok is false for other values.
func unquote(value []byte) (text string, ok bool) {
	unquoted, ok := jsonscan.Unquote(value)
	return string(unquoted), ok
}

// parseInt reads a number that is an int32 without fraction and exponent, as .NET requires.
func parseInt(text []byte) (n int64, ok bool) {
	n, err := strconv.ParseInt(string(text), 10, 32)
	return n, err == nil
}
