package hubprotocol

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// appendCompletion adds a Completion with either a result, null included, or an error (section 1.6).
func (jsonCodec) appendCompletion(dst []byte, c *Completion) []byte {
	if c.Record != nil {
		dst = append(dst, c.Record...)
		return append(dst, RecordSeparator)
	}
	dst = append(dst, `{"type":3,"invocationId":`...)
	dst = AppendJSONString(dst, c.ID)
	if c.Error != "" {
		dst = append(dst, `,"error":`...)
		dst = AppendJSONString(dst, c.Error)
	} else {
		dst = append(dst, `,"result":`...)
		dst = appendJSONValue(dst, c.Result)
	}
	return append(dst, '}', RecordSeparator)
}

// appendNotice adds an Invocation that wants no answer.
func (jsonCodec) appendNotice(dst []byte, target string, argument any) []byte {
	dst = append(dst, `{"type":1,"target":`...)
	dst = AppendJSONString(dst, target)
	dst = append(dst, `,"arguments":[`...)
	dst = appendJSONValue(dst, argument)
	return append(dst, ']', '}', RecordSeparator)
}

// appendClose adds a Close message without properties that have their default (section 1.6).
func (jsonCodec) appendClose(dst []byte, text string, allowReconnect bool) []byte {
	dst = append(dst, `{"type":7`...)
	if text != "" {
		dst = append(dst, `,"error":`...)
		dst = AppendJSONString(dst, text)
	}
	if allowReconnect {
		dst = append(dst, `,"allowReconnect":true`...)
	}
	return append(dst, '}', RecordSeparator)
}

func (jsonCodec) appendPing(dst []byte) []byte {
	dst = append(dst, `{"type":6}`...)
	return append(dst, RecordSeparator)
}

// appendJSONValue adds the result of a hub method, which is of a type that can always be encoded. It encodes a list
// element by element: dst is the only place where the list, which may have megabytes, is built.
func appendJSONValue(dst []byte, value any) []byte {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	add := func(value any) {
		text.Reset()
		if err := encoder.Encode(value); err != nil {
			dst = append(dst, "null"...)
			return
		}
		dst = append(dst, bytes.TrimSuffix(text.Bytes(), []byte("\n"))...)
	}
	list, ok := listOf(value)
	if !ok {
		add(value)
		return dst
	}
	dst = append(dst, '[')
	for i := range list.Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		add(list.At(i))
	}
	return append(dst, ']')
}

func (jsonCodec) appendNumber(dst []byte, kind MessageType, number uint64) []byte {
	dst = strconv.AppendInt(append(dst, `{"type":`...), int64(kind), 10)
	dst = strconv.AppendUint(append(dst, `,"sequenceId":`...), number, 10)
	return append(dst, '}', RecordSeparator)
}

const hexDigits = "0123456789ABCDEF"

// AppendJSONString adds text to dst as a JSON string with the relaxed escaping of .NET: it escapes the characters that
// JSON forbids and those that end a line in JavaScript. Bytes that are not UTF-8 become U+FFFD.
func AppendJSONString(dst []byte, text string) []byte {
	dst = append(dst, '"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\b':
			dst = append(dst, '\\', 'b')
		case r == '\f':
			dst = append(dst, '\\', 'f')
		case r == '\n':
			dst = append(dst, '\\', 'n')
		case r == '\r':
			dst = append(dst, '\\', 'r')
		case r == '\t':
			dst = append(dst, '\\', 't')
		case r < ' ' || r == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&0xf])
		case r == 0x2028 || r == 0x2029:
			dst = append(dst, '\\', 'u', '2', '0', '2', hexDigits[r&0xf])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}
