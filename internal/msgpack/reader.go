package msgpack

import (
	"encoding/binary"
	"errors"
	"math"
	"time"
)

// ErrMalformed is the error of a Reader whose data is not the MessagePack that its caller asked for.
var ErrMalformed = errors.New("malformed MessagePack")

// Reader reads MessagePack from bytes in memory. It checks every length against the bytes that remain before it uses
// it. After the first error all methods return zero values. Its zero value reads nothing.
type Reader struct {
	data []byte
	err  error
}

// NewReader returns a Reader of data, which it does not change.
func NewReader(data []byte) Reader { return Reader{data: data} }

// Err returns ErrMalformed after a failed read, else nil.
func (r *Reader) Err() error { return r.err }

// Remaining returns the number of bytes that are not read yet.
func (r *Reader) Remaining() int { return len(r.data) }

// Fail makes the Reader fail: its caller found that a value is not the expected one.
func (r *Reader) Fail() {
	r.err = ErrMalformed
	r.data = nil
}

// Peek returns the format of the next value without reading it; ok is false at the end of the data.
func (r *Reader) Peek() (format byte, ok bool) {
	if len(r.data) == 0 {
		return 0, false
	}
	return r.data[0], true
}

// Format reads the byte that begins a value.
func (r *Reader) Format() byte {
	if b := r.Bytes(1); b != nil {
		return b[0]
	}
	return Nil
}

// Bytes reads n bytes. The result shares the memory of the data.
func (r *Reader) Bytes(n uint64) []byte {
	if n > uint64(len(r.data)) {
		r.Fail()
		return nil
	}
	taken := r.data[:n]
	r.data = r.data[n:]
	return taken
}

// BigEndian reads an unsigned number of size bytes, 8 at most, without a format.
func (r *Reader) BigEndian(size uint64) uint64 {
	var n uint64
	for _, b := range r.Bytes(size) {
		n = n<<8 | uint64(b)
	}
	return n
}

// ArrayLen reads the head of an array and returns the number of its elements.
func (r *Reader) ArrayLen() int { return r.length(FixArray, Array16) }

// MapLen reads the head of a map and returns the number of its pairs.
func (r *Reader) MapLen() int { return r.length(FixMap, Map16) }

// length reads the head of an array or map whose short form is fix and whose 16-bit form is wide. An element takes a
// byte at least, so a length beyond the data is refused here.
func (r *Reader) length(fix, wide byte) int {
	var n uint64
	switch f := r.Format(); {
	case f&0xf0 == fix:
		n = uint64(f & 0x0f)
	case f == wide:
		n = r.BigEndian(2)
	case f == wide+1:
		n = r.BigEndian(4)
	default:
		r.Fail()
	}
	if n > uint64(len(r.data)) {
		r.Fail()
		return 0
	}
	return int(n)
}

// TakeNil reads a nil if one comes next, and reports whether it did.
func (r *Reader) TakeNil() bool {
	if len(r.data) == 0 || r.data[0] != Nil {
		return false
	}
	r.data = r.data[1:]
	return true
}

// String reads a string and returns a copy of it.
func (r *Reader) String() string {
	switch f := r.Format(); {
	case f&0xe0 == FixStr:
		return string(r.Bytes(uint64(f & 0x1f)))
	case f >= Str8 && f < Str8+3:
		return string(r.Bytes(r.BigEndian(1 << (f - Str8))))
	default:
		r.Fail()
		return ""
	}
}

// Int32 reads an integer that fits 32 bits with a sign.
func (r *Reader) Int32() int64 {
	n, negative := r.Int()
	if !negative && n > math.MaxInt32 || negative && int64(n) < math.MinInt32 {
		r.Fail()
		return 0
	}
	return int64(n)
}

// Int reads any integer: n has the bits of an int64 if it is negative, else of a uint64.
func (r *Reader) Int() (n uint64, negative bool) {
	switch f := r.Format(); {
	case f < FixMap:
		return uint64(f), false
	case f >= FixNeg:
		return uint64(int64(int8(f))), true
	case f >= Uint8 && f <= Uint64:
		return r.BigEndian(1 << (f - Uint8)), false
	case f >= Int8 && f <= Int64:
		size := uint64(1) << (f - Int8)
		shift := 64 - 8*size
		signed := int64(r.BigEndian(size)<<shift) >> shift
		return uint64(signed), signed < 0
	default:
		r.Fail()
		return 0, false
	}
}

// Float reads a floating-point number and returns the bits that it had.
func (r *Reader) Float() (value float64, bits int) {
	switch r.Format() {
	case Float32:
		return float64(math.Float32frombits(uint32(r.BigEndian(4)))), 32
	case Float64:
		return math.Float64frombits(r.BigEndian(8)), 64
	default:
		r.Fail()
		return 0, 64
	}
}

// Extension reads an extension and returns its type and its data, which shares the memory of the Reader's data.
func (r *Reader) Extension() (kind byte, data []byte) {
	var size uint64
	switch f := r.Format(); {
	case f >= FixExt1 && f < Str8:
		size = 1 << (f - FixExt1)
	case f >= Ext8 && f < Ext8+3:
		size = r.BigEndian(1 << (f - Ext8))
	default:
		r.Fail()
	}
	kind = r.Format()
	return kind, r.Bytes(size)
}

// ParseTimestamp returns the point in time that the data of an extension of type Timestamp holds; ok is false if the
// data has none of the three lengths.
func ParseTimestamp(data []byte) (t time.Time, ok bool) {
	switch len(data) {
	case 4:
		return time.Unix(int64(binary.BigEndian.Uint32(data)), 0).UTC(), true
	case 8:
		both := binary.BigEndian.Uint64(data)
		return time.Unix(int64(both&(1<<34-1)), int64(both>>34)).UTC(), true
	case 12:
		nanos := int64(binary.BigEndian.Uint32(data))
		return time.Unix(int64(binary.BigEndian.Uint64(data[4:])), nanos).UTC(), true
	default:
		return time.Time{}, false
	}
}
