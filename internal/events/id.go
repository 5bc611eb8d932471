package events

import "math/rand/v2"

// ID is a GUID in binary form. The zero value is the GUID of zeros, which is a valid id.
type ID [16]byte

// idLen is the length of the only accepted text form, 8-4-4-4-12 hexadecimal digits.
const idLen = 36

const hexDigits = "0123456789abcdef"

// ParseID reads the 36 character form of a GUID, digits in any case.
// Braces, the form without hyphens and surrounding space are refused: one entity must have one spelling,
// or limits and duplicates could be walked around.
func ParseID[T string | []byte](s T) (id ID, ok bool) {
	if len(s) != idLen || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return ID{}, false
	}
	pos := 0
	for i := range id {
		if pos == 8 || pos == 13 || pos == 18 || pos == 23 {
			pos++
		}
		hi, lo := unhex[s[pos]], unhex[s[pos+1]]
		if hi|lo > 0x0f {
			return ID{}, false
		}
		id[i] = hi<<4 | lo
		pos += 2
	}
	return id, true
}

// NewID makes a random GUID (RFC 9562, version 4). It is an identifier and not a secret.
func NewID() ID {
	var id ID
	hi, lo := rand.Uint64(), rand.Uint64() //nolint:gosec // identifiers are public; nothing relies on their being unguessable
	for i := range 8 {
		id[i] = byte(hi >> (8 * i))
		id[8+i] = byte(lo >> (8 * i))
	}
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}

// String is the 36 character form in lower case.
func (id ID) String() string {
	var text [idLen]byte
	id.Put(text[:])
	return string(text[:])
}

// Append adds the 36 character form in lower case to dst.
func (id ID) Append(dst []byte) []byte {
	var text [idLen]byte
	id.Put(text[:])
	return append(dst, text[:]...)
}

// Put writes the 36 character form in lower case over the first 36 bytes of dst.
func (id ID) Put(dst []byte) {
	_ = dst[idLen-1]
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

// unhex maps a byte to the value of the hexadecimal digit it is, 0xff if it is none.
var unhex = func() (table [256]byte) {
	for i := range table {
		table[i] = 0xff
	}
	for i := range 16 {
		table[hexDigits[i]] = byte(i)
	}
	for i := range 6 {
		table['A'+i] = byte(10 + i)
	}
	return table
}()
