package hubprotocol

import (
	"encoding/base64"
	"math"
	"strconv"
	"time"

	"github.com/rte-server/rte-server/internal/msgpack"
)

// maxJSONGrowth bounds how many bytes of JSON one byte of MessagePack becomes. A false that is a property name takes
// the most, with its quotes and the colon.
const maxJSONGrowth = 8

// appendAsJSON reads a value that is nested depth deep and adds it to dst as JSON text, which is at most maxJSONGrowth
// times as long as what was read.
func appendAsJSON(dst []byte, r *msgpack.Reader, depth int) []byte {
	f, ok := r.Peek()
	if depth > maxDepth || !ok {
		r.Fail()
		return dst
	}
	switch {
	case f == msgpack.Nil:
		r.Format()
		return append(dst, "null"...)
	case f == msgpack.False, f == msgpack.True:
		return strconv.AppendBool(dst, r.Format() == msgpack.True)
	case f&0xe0 == msgpack.FixStr, f >= msgpack.Str8 && f < msgpack.Str8+3:
		return AppendJSONString(dst, r.String())
	case f&0xf0 == msgpack.FixArray, f == msgpack.Array16, f == msgpack.Array16+1:
		return appendArrayAsJSON(dst, r, depth)
	case f&0xf0 == msgpack.FixMap, f == msgpack.Map16, f == msgpack.Map16+1:
		return appendMapAsJSON(dst, r, depth)
	case f == msgpack.Float32, f == msgpack.Float64:
		return appendFloatAsJSON(dst, r)
	case f >= msgpack.Bin8 && f < msgpack.Bin8+3:
		r.Format()
		return appendBytesAsJSON(dst, r.Bytes(r.BigEndian(1<<(f-msgpack.Bin8))))
	case f >= msgpack.Ext8 && f < msgpack.Ext8+3, f >= msgpack.FixExt1 && f < msgpack.Str8:
		return appendExtensionAsJSON(dst, r)
	default:
		n, negative := r.Int()
		if negative {
			return strconv.AppendInt(dst, int64(n), 10) //nolint:gosec // two's complement
		}
		return strconv.AppendUint(dst, n, 10)
	}
}

func appendArrayAsJSON(dst []byte, r *msgpack.Reader, depth int) []byte {
	dst = append(dst, '[')
	for i := range r.ArrayLen() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendAsJSON(dst, r, depth+1)
		if r.Err() != nil {
			return dst
		}
	}
	return append(dst, ']')
}

// appendMapAsJSON adds a map. Keys that are not strings become strings, because JSON has no other property names. Keys
// that are maps or arrays are malformed: each map around one would quote its text again and double its length.
func appendMapAsJSON(dst []byte, r *msgpack.Reader, depth int) []byte {
	dst = append(dst, '{')
	for i := range r.MapLen() {
		if i > 0 {
			dst = append(dst, ',')
		}
		if atCollection(r) {
			r.Fail()
			return dst
		}
		start := len(dst)
		dst = appendAsJSON(dst, r, depth+1)
		if r.Err() != nil {
			return dst
		}
		if dst[start] != '"' {
			dst = AppendJSONString(dst[:start], string(dst[start:]))
		}
		dst = append(dst, ':')
		dst = appendAsJSON(dst, r, depth+1)
		if r.Err() != nil {
			return dst
		}
	}
	return append(dst, '}')
}

// atCollection reports whether a map or an array comes next.
func atCollection(r *msgpack.Reader) bool {
	f, ok := r.Peek()
	return ok && (f&0xf0 == msgpack.FixMap || f&0xf0 == msgpack.FixArray || f >= msgpack.Array16 && f <= msgpack.Map16+1)
}

// appendFloatAsJSON adds a floating-point number. JSON has no infinity and no NaN: both become 0. No parameter is a
// number, so an argument that matters does not bind either way, and one in a property that nothing reads does no harm.
func appendFloatAsJSON(dst []byte, r *msgpack.Reader) []byte {
	value, bits := r.Float()
	if math.IsNaN(value) || math.IsInf(value, 0) {
		value = 0
	}
	return strconv.AppendFloat(dst, value, 'g', -1, bits)
}

// appendBytesAsJSON adds bytes as base64, as JSON clients of .NET send them.
func appendBytesAsJSON(dst, value []byte) []byte {
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, value)
	return append(dst, '"')
}

// appendExtensionAsJSON adds a point in time as .NET writes it, and any other extension as null.
func appendExtensionAsJSON(dst []byte, r *msgpack.Reader) []byte {
	kind, data := r.Extension()
	if r.Err() != nil || kind != msgpack.Timestamp {
		return append(dst, "null"...)
	}
	at, ok := msgpack.ParseTimestamp(data)
	if !ok {
		r.Fail()
		return dst
	}
	dst = append(dst, '"')
	dst = at.AppendFormat(dst, time.RFC3339Nano)
	return append(dst, '"')
}
