package msgpack

import (
	"encoding/binary"
	"math"
	"time"
)

// AppendBool adds a boolean to dst.
func AppendBool(dst []byte, value bool) []byte {
	if value {
		return append(dst, True)
	}
	return append(dst, False)
}

// AppendUint adds an integer to dst in its shortest form.
func AppendUint(dst []byte, n uint64) []byte {
	switch {
	case n <= math.MaxInt8:
		return append(dst, byte(n))
	case n <= math.MaxUint8:
		return append(dst, Uint8, byte(n))
	case n <= math.MaxUint16:
		return append(dst, Uint8+1, byte(n>>8), byte(n))
	case n <= math.MaxUint32:
		return append(dst, Uint8+2, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, Uint64), n)
	}
}

// AppendInt adds an integer to dst in its shortest form.
func AppendInt(dst []byte, n int64) []byte {
	switch {
	case n >= 0:
		return AppendUint(dst, uint64(n))
	case n >= MinFixInt:
		return append(dst, byte(n))
	case n >= math.MinInt8:
		return append(dst, Int8, byte(n))
	case n >= math.MinInt16:
		return append(dst, Int8+1, byte(n>>8), byte(n))
	case n >= math.MinInt32:
		return append(dst, Int8+2, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, Int64), uint64(n))
	}
}

// AppendFloat64 adds a floating-point number to dst.
func AppendFloat64(dst []byte, f float64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, Float64), math.Float64bits(f))
}

// AppendString adds a string to dst.
func AppendString[T string | []byte](dst []byte, s T) []byte {
	return append(AppendStringLen(dst, len(s)), s...)
}

// AppendStringLen adds the head of a string of n bytes to dst. The bytes must follow.
func AppendStringLen(dst []byte, n int) []byte {
	switch {
	case n <= MaxFixStr:
		return append(dst, FixStr|byte(n))
	case n <= math.MaxUint8:
		return append(dst, Str8, byte(n))
	case n <= math.MaxUint16:
		return append(dst, Str8+1, byte(n>>8), byte(n))
	default:
		return append(dst, Str8+2, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
}

// AppendArrayLen adds the head of an array of n elements to dst. The elements must follow.
func AppendArrayLen(dst []byte, n int) []byte {
	if n <= MaxFixArray {
		return append(dst, FixArray|byte(n))
	}
	return appendWideLen(dst, n, Array16)
}

// AppendMapLen adds the head of a map of n pairs to dst. The keys and values must follow.
func AppendMapLen(dst []byte, n int) []byte {
	if n <= MaxFixMap {
		return append(dst, FixMap|byte(n))
	}
	return appendWideLen(dst, n, Map16)
}

// appendWideLen adds a length of 16 or 32 bits, whose formats are form16 and the one behind it.
func appendWideLen(dst []byte, n int, form16 byte) []byte {
	if n <= math.MaxUint16 {
		return append(dst, form16, byte(n>>8), byte(n))
	}
	return append(dst, form16+1, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

// AppendTimestamp adds a point in time to dst, in the shortest of the three forms that holds it: .NET reads all of them
// as a DateTime (spec row 1.10).
func AppendTimestamp(dst []byte, t time.Time) []byte {
	seconds, nanos := t.Unix(), uint64(t.Nanosecond())
	switch {
	case seconds>>34 != 0: // before 1970 or after 2514
		dst = append(dst, Ext8, 12, Timestamp)
		dst = binary.BigEndian.AppendUint32(dst, uint32(nanos))
		return binary.BigEndian.AppendUint64(dst, uint64(seconds))
	case nanos != 0 || seconds>>32 != 0:
		return binary.BigEndian.AppendUint64(append(dst, FixExt8, Timestamp), nanos<<34|uint64(seconds))
	default:
		return binary.BigEndian.AppendUint32(append(dst, FixExt4, Timestamp), uint32(seconds))
	}
}
