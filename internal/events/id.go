package events

import (
	"encoding/binary"
	"math/rand/v2"
	"time"
)

// ID is a GUID in binary form. The zero value is the GUID of zeros, which is valid.
type ID [16]byte

// IDLen is the length in bytes of the only accepted text form of an ID, 8-4-4-4-12 hexadecimal digits.
const IDLen = 36

const hexDigits = "0123456789abcdef"

// ones times a byte repeats that byte eight times.
const ones = 0x0101010101010101

// ParseID reads the 36 character form of a GUID with digits in any case. It refuses braces, surrounding space and the
// form without hyphens: an entity must have one spelling, so that other spellings cannot bypass limits and checks for
// duplicates.
func ParseID[T string | []byte](s T) (id ID, ok bool) {
	if len(s) != IDLen || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return ID{}, false
	}
	first, ok1 := unhex8(load4(s[0:4]), load4(s[4:8]))
	second, ok2 := unhex8(load4(s[9:13]), load4(s[14:18]))
	third, ok3 := unhex8(load4(s[19:23]), load4(s[24:28]))
	fourth, ok4 := unhex8(load4(s[28:32]), load4(s[32:36]))
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return ID{}, false
	}
	binary.LittleEndian.PutUint32(id[0:], first)
	binary.LittleEndian.PutUint32(id[4:], second)
	binary.LittleEndian.PutUint32(id[8:], third)
	binary.LittleEndian.PutUint32(id[12:], fourth)
	return id, true
}

// load4 returns the four bytes of s in little-endian order.
func load4[T string | []byte](s T) uint64 {
	_ = s[3]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24
}

// unhex8 converts eight hexadecimal digits, four in low and four in high, into four bytes. All are in little-endian
// order.
func unhex8(low, high uint64) (packed uint32, ok bool) {
	digits := low | high<<32
	// A letter has bit 6 and its low four bits count from one.
	nibbles := digits&(ones*0x0f) + digits>>6&ones*9
	// Written again in lower case, the nibbles must equal the digits.
	letters := (nibbles + ones*6) >> 4 & ones
	written := nibbles + ones*'0' + letters*('a'-'9'-1)
	ok = nibbles&(ones*0xf0) == 0 && written == digits|digits&(ones*0x40)>>1

	pairs := (nibbles<<4 | nibbles>>8) & 0x00ff00ff00ff00ff
	pairs = (pairs | pairs>>8) & 0x0000ffff0000ffff
	return uint32(pairs | pairs>>16), ok //nolint:gosec // the shift folded the upper half into the lower half
}

// NewID returns a random GUID (RFC 9562, version 4). It is an identifier, not a secret.
func NewID() ID {
	var id ID
	hi, lo := rand.Uint64(), rand.Uint64() //nolint:gosec // identifiers are public and may be guessable
	binary.LittleEndian.PutUint64(id[:8], hi)
	binary.LittleEndian.PutUint64(id[8:], lo)
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}

// NewIDAt returns a random GUID that contains a time (RFC 9562, version 7, with the fraction of the millisecond in its
// next 12 bits). It is an identifier, not a secret.
func NewIDAt(t time.Time) ID {
	id := NewID()
	us := uint64(t.UnixMicro())
	ms, fraction := us/1000, us%1000*4096/1000
	binary.BigEndian.PutUint64(id[:8], ms<<16|0x7000|fraction)
	return id
}

// Time returns the time in an id of NewIDAt, rounded down to a microsecond or two. ok is false for other ids.
func (id ID) Time() (t time.Time, ok bool) {
	if id[6]>>4 != 7 {
		return time.Time{}, false
	}
	hi := binary.BigEndian.Uint64(id[:8])
	us := (hi&0xfff*1000 + 4095) / 4096
	return time.UnixMicro(int64(hi>>16*1000 + us)), true
}

// String returns the 36 character form in lower case.
func (id ID) String() string {
	var text [IDLen]byte
	id.Put(text[:])
	return string(text[:])
}

// Append appends the 36 character form in lower case to dst.
func (id ID) Append(dst []byte) []byte {
	var text [IDLen]byte
	id.Put(text[:])
	return append(dst, text[:]...)
}

// Put writes the 36 character form in lower case over the first 36 bytes of dst.
func (id ID) Put(dst []byte) {
	_ = dst[IDLen-1]
	pos := 0
	for i, b := range id {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst[pos] = '-'
			pos++
		}
		dst[pos] = hexDigits[b>>4]
		dst[pos+1] = hexDigits[b&0x0f]
		pos += 2
	}
}
