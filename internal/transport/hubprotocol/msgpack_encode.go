package hubprotocol

import (
	"encoding/binary"

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
	body := append(make([]byte, 0, 64), msgpack.FixArray|5, byte(TypeCompletion), msgpack.FixMap)
	body = msgpack.AppendString(body, c.ID)
	if c.Error != "" {
		body = append(body, resultError)
		body = msgpack.AppendString(body, c.Error)
	} else {
		body = append(body, resultValue)
		body = m.appendResult(body, c.Result)
	}
	return appendPackMessage(dst, body)
}

// appendNotice adds [1, {}, nil, target, [argument], []].
func (m *messagePackCodec) appendNotice(dst []byte, target string, argument any) []byte {
	body := append(make([]byte, 0, 512), msgpack.FixArray|6, byte(TypeInvocation), msgpack.FixMap, msgpack.Nil)
	body = append(msgpack.AppendString(body, target), msgpack.FixArray|1)
	return appendPackMessage(dst, append(m.appendResult(body, argument), msgpack.FixArray))
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

// appendPackMessage adds a hub message: its length prefix and its body.
func appendPackMessage(dst, body []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(body))), body...)
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
