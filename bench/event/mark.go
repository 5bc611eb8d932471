package event

import "bytes"

// MarkLen is the length of a mark in bytes: the start byte, 8 hexadecimal digits of topic, 8 of number, 16 of time.
const MarkLen = 1 + 8 + 8 + 16

// markStart begins a mark. No other byte of an event or of a server's framing has this value, so one vectorized search
// finds a mark.
const markStart = '~'

const hexDigits = "0123456789abcdef"

// Mark identifies the event of a delivery.
type Mark struct {
	Topic  uint32
	Number uint32 // of the event within its topic, from 1
	At     int64  // time of publishing in nanoseconds of the bench's clock
}

// Put writes the mark over the first MarkLen bytes of dst.
func (m Mark) Put(dst []byte) {
	dst[0] = markStart
	putHex(dst[1:9], uint64(m.Topic))
	putHex(dst[9:17], uint64(m.Number))
	putHex(dst[17:33], uint64(m.At)) //nolint:gosec // the bits are read back as they are
}

// NextMark returns the first mark in data and the bytes behind it, and whether there is one.
func NextMark(data []byte) (m Mark, rest []byte, ok bool) {
	for {
		at := bytes.IndexByte(data, markStart)
		if at < 0 || len(data)-at < MarkLen {
			return Mark{}, nil, false
		}
		text := data[at : at+MarkLen]
		topic, ok1 := readHex(text[1:9])
		number, ok2 := readHex(text[9:17])
		nanos, ok3 := readHex(text[17:33])
		if ok1 && ok2 && ok3 {
			m = Mark{Topic: uint32(topic), Number: uint32(number), At: int64(nanos)} //nolint:gosec // 8 digits fit
			return m, data[at+MarkLen:], true
		}
		data = data[at+1:]
	}
}

func putHex(dst []byte, v uint64) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = hexDigits[v&0x0f]
		v >>= 4
	}
}

// hexValues maps a hexadecimal digit in lower case to its value, and every other byte to 0xff.
var hexValues = func() (values [256]byte) {
	for i := range values {
		values[i] = 0xff
	}
	for i := range hexDigits {
		values[hexDigits[i]] = byte(i)
	}
	return values
}()

func readHex(text []byte) (v uint64, ok bool) {
	var bits byte
	for _, c := range text {
		d := hexValues[c]
		bits |= d
		v = v<<4 | uint64(d)
	}
	return v, bits <= 0x0f
}
