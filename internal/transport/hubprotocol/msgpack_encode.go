package hubprotocol

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/msgpack"
)

// The result kinds of a Completion (section 1.10).
const (
	resultError = 1
	resultValue = 3
)

// appendCompletion adds [3, {}, id, 3, result], nil included, or [3, {}, id, 1, error].
func (m *messagePackCodec) appendCompletion(dst []byte, c *Completion) []byte {
	dst, start := beginPackMessage(dst)
	dst = append(dst, msgpack.FixArray|5, byte(TypeCompletion), msgpack.FixMap)
	dst = msgpack.AppendString(dst, c.ID)
	if c.Error != "" {
		dst = append(dst, resultError)
		dst = msgpack.AppendString(dst, validText(c.Error))
	} else {
		dst = append(dst, resultValue)
		dst = m.appendResult(dst, c.Result)
	}
	return endPackMessage(dst, start)
}

// validText returns a text with U+FFFD for each byte that is not UTF-8. An error quotes the name of the method as the
// client wrote it, and clients may refuse a string of MessagePack that is not UTF-8.
func validText(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	return string([]rune(text))
}

// appendNotice adds [1, {}, nil, target, [argument], []].
func (m *messagePackCodec) appendNotice(dst []byte, target string, argument any) []byte {
	dst, start := beginPackMessage(dst)
	dst = append(dst, msgpack.FixArray|6, byte(TypeInvocation), msgpack.FixMap, msgpack.Nil)
	dst = append(msgpack.AppendString(dst, target), msgpack.FixArray|1)
	return endPackMessage(append(m.appendResult(dst, argument), msgpack.FixArray), start)
}

// appendClose adds [7, error or nil, allowReconnect].
func (*messagePackCodec) appendClose(dst []byte, text string, allowReconnect bool) []byte {
	body := []byte{msgpack.FixArray | 3, byte(TypeClose)}
	if text == "" {
		body = append(body, msgpack.Nil)
	} else {
		body = msgpack.AppendString(body, text)
	}
	return appendPackMessage(dst, msgpack.AppendBool(body, allowReconnect))
}

func (*messagePackCodec) appendPing(dst []byte) []byte {
	return appendPackMessage(dst, []byte{msgpack.FixArray | 1, byte(TypePing)})
}

func (*messagePackCodec) appendNumber(dst []byte, kind MessageType, number uint64) []byte {
	body := []byte{msgpack.FixArray | 2, byte(kind)}                      //nolint:gosec // 8 or 9
	return appendPackMessage(dst, msgpack.AppendInt(body, int64(number))) //nolint:gosec // it counts frames
}

// appendPackMessage adds a hub message: its length prefix and its body.
func appendPackMessage(dst, body []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(body))), body...)
}

// beginPackMessage leaves room for a length prefix, so that the body of a message, which may have megabytes, is built
// in place. It returns where the message starts, for endPackMessage.
func beginPackMessage(dst []byte) (_ []byte, start int) {
	return append(dst, make([]byte, maxPrefix)...), len(dst)
}

// endPackMessage writes the length prefix and moves the body behind it.
func endPackMessage(dst []byte, start int) []byte {
	var prefix [binary.MaxVarintLen64]byte
	body := dst[start+maxPrefix:]
	n := binary.PutUvarint(prefix[:], uint64(len(body)))
	copy(dst[start:], prefix[:n])
	moved := copy(dst[start+n:], body)
	return dst[:start+n+moved]
}

// packKeys writes property names in a style.
type packKeys struct{ style events.PackStyle }

// append adds a property name, which is given as .NET has it.
func (k packKeys) append(dst []byte, name string) []byte {
	dst = msgpack.AppendString(dst, name)
	if k.style&events.CamelKeys != 0 {
		dst[len(dst)-len(name)] |= 0x20 // all names begin with a single capital letter
	}
	return dst
}
