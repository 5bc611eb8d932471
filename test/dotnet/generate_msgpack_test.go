package dotnet

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/rte-server/rte-server/internal/msgpack"
)

// raw are bytes that a message contains unchanged.
type raw []byte

// ordered is a map in a fixed order, with keys of any kind.
type ordered []any

// encode writes a value as MessagePack.
func encode(value any) []byte { return appendValue(nil, value) }

func appendValue(dst []byte, value any) []byte {
	switch v := value.(type) {
	case nil:
		return append(dst, 0xc0)
	case raw:
		return append(dst, v...)
	case bool:
		return msgpack.AppendBool(dst, v)
	case int:
		return msgpack.AppendInt(dst, int64(v))
	case float64:
		return msgpack.AppendFloat64(dst, v)
	case string:
		return msgpack.AppendString(dst, v)
	case []any:
		dst = msgpack.AppendArrayLen(dst, len(v))
		for _, item := range v {
			dst = appendValue(dst, item)
		}
		return dst
	case map[string]any:
		return msgpack.AppendMapLen(dst, 0)
	case ordered:
		dst = msgpack.AppendMapLen(dst, len(v)/2)
		for _, item := range v {
			dst = appendValue(dst, item)
		}
		return dst
	default:
		panic(fmt.Sprintf("[unexpected] %T", value))
	}
}

// framed puts the length in front of a message.
func framed(message []byte) []byte {
	return append(binary.AppendUvarint(nil, uint64(len(message))), message...)
}

// packGenerator makes messages of the MessagePack protocol: right ones, and such with one or two things wrong.
type packGenerator struct{ *rand.Rand }

func packItem(entity, event any) any { return ordered{"EntityId", entity, "EventName", event} }

func (g packGenerator) base() (name string, message []any) {
	none := map[string]any{}
	id := pick[any](g.Rand, "1", "abc", "é")
	target := pick[any](g.Rand, "Subscribe", "Subscribe", "Unsubscribe", "UnsubscribeAll", "AvailableSubscriptions",
		"ActiveSubscriptions", "subscribe", "NoSuch", "", "OnConnectedAsync")
	switch g.IntN(12) {
	case 0:
		return "ping", []any{6}
	case 1:
		return "close", []any{7, nil, false}
	case 2:
		return "cancel", []any{5, none, id}
	case 3:
		return "completion", []any{3, none, id, 3, 42}
	case 4:
		return "stream item", []any{2, none, id, 42}
	case 5:
		return "stream invocation", []any{4, none, id, target, g.arguments(), []any{}}
	case 6:
		return "ack", []any{pick(g.Rand, 8, 9), 1}
	case 7:
		return "without id", []any{1, none, nil, target, g.arguments()}
	default:
		return "call", []any{1, none, id, target, g.arguments(), []any{}}
	}
}

func (g packGenerator) arguments() any {
	item := packItem(entityID, "UserStatus")
	return pick[any](g.Rand,
		[]any{[]any{item}}, []any{[]any{item, item}}, []any{[]any{}}, []any{}, []any{nil}, []any{[]any{nil}},
		[]any{map[string]any{}},
		[]any{"x"}, []any{1}, []any{[]any{1}}, []any{[]any{"x"}}, []any{
			[]any{map[string]any{}},
		}, []any{[]any{packItem(1, "UserStatus")}},
		[]any{
			[]any{packItem(nil, nil)},
		}, []any{[]any{ordered{"EntityId", "x", "EventName", "y", "More", []any{1, ordered{"b", nil}}}}},
		[]any{[]any{item}, 1}, []any{[]any{item}, []any{item}}, []any{[]any{[]any{item}}}, []any{1, 2, 3},
		[]any{[]any{ordered{"EntityId", "x"}}}, []any{[]any{packItem("é中", "😀")}}, []any{[]any{packItem(1.5, true)}},
		[]any{raw{0xc4, 1, 'x'}}, []any{raw{0xd6, 0xff, 0, 0, 0, 1}})
}

// value is any value of MessagePack, and some that are none.
func (g packGenerator) value() any {
	return pick[any](g.Rand, nil, true, 0, 1, -1, 300, 70000, 1.5, "", "x", []any{}, []any{[]any{}}, map[string]any{},
		ordered{"a", 1},
		ordered{"a", "b"}, ordered{1, "b"}, raw{0xc1}, raw{0xc4, 1, 'x'}, raw{0xd6, 0xff, 0, 0, 0, 1}, raw{0xc7, 1, 5, 0},
		raw(
			strings.Repeat("\x91", 70)+"\x90",
		), raw{0xa1, 0xff}, raw{0xdd, 0xff, 0xff, 0xff, 0xff}, raw{0xdf, 0, 1, 0, 0}, raw{0xdb, 0, 0, 1, 0},
		raw{0xd0, 1}, raw{0xcd, 0, 1}, raw{
			0xcf, 0, 0, 0, 0, 0, 0, 0, 1,
		}, raw{0xd9, 1, 'x'}, raw{0xdc, 0, 0}, raw{0xde, 0, 0}, raw{0xca, 0x3f, 0x80, 0, 0})
}

// next makes a message.
func (g packGenerator) next() *conversation {
	name, message := g.base()
	var changes []string
	for range g.IntN(3) {
		i := g.IntN(len(message))
		switch g.IntN(6) {
		case 0:
			message = message[:i]
			changes = append(changes, fmt.Sprintf("cut at %d", i))
		case 1:
			message = append(message, g.value())
			changes = append(changes, "one more")
		default:
			message[i] = g.value()
			changes = append(changes, fmt.Sprintf("%d is %x", i, encode(message[i])))
		}
		if len(message) == 0 {
			break
		}
	}
	data := encode(message)
	frame := framed(data)
	if g.IntN(10) == 0 {
		switch g.IntN(6) {
		case 0:
			data[0] += byte(1 + g.IntN(3)) // says more elements than there are
			frame = framed(data)
			changes = append(changes, "a count that is too large")
		case 1:
			frame = framed(data[:len(data)-1])
			changes = append(changes, "cut, with the right length")
		case 2:
			frame = append([]byte{byte(len(data) - 1)}, data...)
			changes = append(changes, "a length that is too small")
		case 3:
			frame = framed(append(data, 0xc0))
			changes = append(changes, "something behind it")
		case 4:
			frame = []byte{0}
			changes = append(changes, "nothing")
		default:
			frame = append(frame, frame...)
			changes = append(changes, "twice")
		}
	}
	return &conversation{name: strings.Join(append([]string{name}, changes...), ", "), binary: true, message: frame}
}
