package transport

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"
	"time"
)

// The formats of MessagePack that are named by a byte of their own.
const (
	packNil     = 0xc0
	packFalse   = 0xc2
	packTrue    = 0xc3
	packBin8    = 0xc4
	packExt8    = 0xc7
	packFloat32 = 0xca
	packFloat64 = 0xcb
	packUint8   = 0xcc
	packUint64  = 0xcf
	packInt8    = 0xd0
	packInt64   = 0xd3
	packFixExt1 = 0xd4
	packStr8    = 0xd9
	packArray16 = 0xdc
	packMap16   = 0xde

	packFixMap   = 0x80
	packFixArray = 0x90
	packFixStr   = 0xa0

	// packTimestamp is the extension type of points in time.
	packTimestamp = 0xff
)

// maxJSONGrowth bounds how many bytes of JSON come from one of MessagePack: a false that is a property's name takes the
// most, with its quotes and the colon.
const maxJSONGrowth = 8

// packReader reads MessagePack. It checks every length against the bytes that are there before it believes it. After
// the first error, which is errMalformed, all methods return zero values.
type packReader struct {
	data []byte
	err  error
}

func (r *packReader) fail() {
	r.err = errMalformed
	r.data = nil
}

// bytes takes n bytes.
func (r *packReader) bytes(n uint64) []byte {
	if n > uint64(len(r.data)) {
		r.fail()
		return nil
	}
	taken := r.data[:n]
	r.data = r.data[n:]
	return taken
}

// number takes a big-endian number of 1, 2, 4 or 8 bytes.
func (r *packReader) number(size uint64) uint64 {
	var n uint64
	for _, b := range r.bytes(size) {
		n = n<<8 | uint64(b)
	}
	return n
}

// format takes the byte that says what follows.
func (r *packReader) format() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return packNil
}

// length is the number of elements of an array or pairs of a map, whose fixed form is fix and whose 16-bit form is
// wide. Every element takes a byte at least, so a length beyond the data is refused here.
func (r *packReader) length(fix, wide byte) int {
	var n uint64
	switch f := r.format(); {
	case f&0xf0 == fix:
		n = uint64(f & 0x0f)
	case f == wide:
		n = r.number(2)
	case f == wide+1:
		n = r.number(4)
	default:
		r.fail()
	}
	if n > uint64(len(r.data)) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *packReader) arrayLen() int { return r.length(packFixArray, packArray16) }

func (r *packReader) mapLen() int { return r.length(packFixMap, packMap16) }

// isNil takes a nil if one comes next.
func (r *packReader) isNil() bool {
	if len(r.data) == 0 || r.data[0] != packNil {
		return false
	}
	r.data = r.data[1:]
	return true
}

// str takes a string.
func (r *packReader) str() string {
	switch f := r.format(); {
	case f&0xe0 == packFixStr:
		return string(r.bytes(uint64(f & 0x1f)))
	case f >= packStr8 && f < packStr8+3:
		return string(r.bytes(r.number(1 << (f - packStr8))))
	default:
		r.fail()
		return ""
	}
}

// integer takes an integer that fits an int32.
func (r *packReader) integer() int64 {
	n, negative := r.anyInteger(r.format())
	if !negative && n > math.MaxInt32 || negative && int64(n) < math.MinInt32 { //nolint:gosec // two's complement
		r.fail()
		return 0
	}
	return int64(n) //nolint:gosec // two's complement
}

// anyInteger takes an integer of the given format: the bits of an int64 if negative, else of a uint64.
func (r *packReader) anyInteger(f byte) (n uint64, negative bool) {
	switch {
	case f < 0x80:
		return uint64(f), false
	case f >= 0xe0:
		return uint64(int64(int8(f))), true //nolint:gosec // two's complement
	case f >= packUint8 && f <= packUint64:
		return r.number(1 << (f - packUint8)), false
	case f >= packInt8 && f <= packInt64:
		size := uint64(1) << (f - packInt8)
		shift := 64 - 8*size
		signed := int64(r.number(size)<<shift) >> shift //nolint:gosec // two's complement
		return uint64(signed), signed < 0               //nolint:gosec // two's complement
	default:
		r.fail()
		return 0, false
	}
}

// appendJSON takes a value that stands depth deep in others and adds it to dst as JSON text, which is at most
// maxJSONGrowth times as long as what was taken.
func (r *packReader) appendJSON(dst []byte, depth int) []byte {
	if depth > maxDepth || len(r.data) == 0 {
		r.fail()
		return dst
	}
	switch f := r.data[0]; {
	case f == packNil:
		r.format()
		return append(dst, "null"...)
	case f == packFalse, f == packTrue:
		return strconv.AppendBool(dst, r.format() == packTrue)
	case f&0xe0 == packFixStr, f >= packStr8 && f < packStr8+3:
		return appendJSONString(dst, r.str())
	case f&0xf0 == packFixArray, f == packArray16, f == packArray16+1:
		return r.appendArray(dst, depth)
	case f&0xf0 == packFixMap, f == packMap16, f == packMap16+1:
		return r.appendMap(dst, depth)
	case f == packFloat32, f == packFloat64:
		return r.appendFloat(dst)
	case f >= packBin8 && f < packBin8+3:
		r.format()
		return r.appendBin(dst, r.bytes(r.number(1<<(f-packBin8))))
	case f >= packExt8 && f < packExt8+3, f >= packFixExt1 && f < packStr8:
		return r.appendExt(dst)
	default:
		n, negative := r.anyInteger(r.format())
		if negative {
			return strconv.AppendInt(dst, int64(n), 10) //nolint:gosec // two's complement
		}
		return strconv.AppendUint(dst, n, 10)
	}
}

func (r *packReader) appendArray(dst []byte, depth int) []byte {
	dst = append(dst, '[')
	for i := range r.arrayLen() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = r.appendJSON(dst, depth+1)
		if r.err != nil {
			return dst
		}
	}
	return append(dst, ']')
}

// appendMap adds a map. Keys that are not strings become strings, as the property names of JSON have to be, except maps
// and arrays, which are malformed: the text of one would be quoted again by each map around it, and double every time.
func (r *packReader) appendMap(dst []byte, depth int) []byte {
	dst = append(dst, '{')
	for i := range r.mapLen() {
		if i > 0 {
			dst = append(dst, ',')
		}
		if r.atCollection() {
			r.fail()
			return dst
		}
		start := len(dst)
		dst = r.appendJSON(dst, depth+1)
		if r.err != nil {
			return dst
		}
		if dst[start] != '"' {
			dst = appendJSONString(dst[:start], string(dst[start:]))
		}
		dst = append(dst, ':')
		dst = r.appendJSON(dst, depth+1)
		if r.err != nil {
			return dst
		}
	}
	return append(dst, '}')
}

// atCollection says whether a map or an array comes next.
func (r *packReader) atCollection() bool {
	if len(r.data) == 0 {
		return false
	}
	f := r.data[0]
	return f&0xf0 == packFixMap || f&0xf0 == packFixArray || f >= packArray16 && f <= packMap16+1
}

// appendFloat adds a floating-point number; JSON has none for infinity and what is not a number.
func (r *packReader) appendFloat(dst []byte) []byte {
	var value float64
	size := 32
	if r.format() == packFloat32 {
		value = float64(math.Float32frombits(uint32(r.number(4)))) //nolint:gosec // four bytes
	} else {
		value = math.Float64frombits(r.number(8))
		size = 64
	}
	if math.IsNaN(value) || math.IsInf(value, 0) {
		r.fail()
		return dst
	}
	return strconv.AppendFloat(dst, value, 'g', -1, size)
}

// appendBin adds bytes as base64, as JSON clients of .NET send them.
func (r *packReader) appendBin(dst, value []byte) []byte {
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, value)
	return append(dst, '"')
}

// appendExt adds an extension: a point in time as .NET writes it, and any other as null.
func (r *packReader) appendExt(dst []byte) []byte {
	var size uint64
	if f := r.format(); f >= packFixExt1 {
		size = 1 << (f - packFixExt1)
	} else {
		size = r.number(1 << (f - packExt8))
	}
	kind := r.format()
	data := r.bytes(size)
	if r.err != nil || kind != packTimestamp {
		return append(dst, "null"...)
	}
	var at time.Time
	switch size {
	case 4:
		at = time.Unix(int64(binary.BigEndian.Uint32(data)), 0)
	case 8:
		both := binary.BigEndian.Uint64(data)
		at = time.Unix(int64(both&(1<<34-1)), int64(both>>34))
	case 12:
		seconds := int64(binary.BigEndian.Uint64(data[4:])) //nolint:gosec // two's complement
		at = time.Unix(seconds, int64(binary.BigEndian.Uint32(data)))
	default:
		r.fail()
		return dst
	}
	dst = append(dst, '"')
	dst = at.UTC().AppendFormat(dst, time.RFC3339Nano)
	return append(dst, '"')
}
