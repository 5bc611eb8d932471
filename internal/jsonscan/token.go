package jsonscan

import (
	"encoding/binary"
	"math/bits"
)

// SkipSpace returns the index of the first byte at or after i that is not white space of JSON, or len(b).
func SkipSpace(b []byte, i int) int {
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	return i
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// PlainEnd returns the index of the first byte at or after i that ends the plain part of a string: a quote, a backslash
// or a control character. It returns len(b) if there is none. It takes eight bytes at a time.
func PlainEnd(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		if found := specials(binary.LittleEndian.Uint64(b[i:])); found != 0 {
			return i + bits.TrailingZeros64(found)>>3
		}
	}
	for i < len(b) && b[i] != '"' && b[i] != '\\' && b[i] >= ' ' {
		i++
	}
	return i
}

// specials sets the high bit of the bytes of word that are a quote, a backslash or a control character.
// Bytes above the lowest such byte may be marked wrongly, the lowest never is.
func specials(word uint64) uint64 {
	quote := word ^ ones*'"'
	backslash := word ^ ones*'\\'
	return ((quote-ones)&^quote | (backslash-ones)&^backslash | (word-ones*' ')&^word) & (ones * 0x80)
}

// ones times a byte repeats that byte eight times.
const ones = 0x0101010101010101

// StringEnd checks the string whose opening quote is at i and returns the index behind its closing quote, or -1, and
// whether it has escapes. Lone surrogates are well-formed JSON and pass.
func StringEnd(b []byte, i int) (end int, escaped bool) {
	for i = PlainEnd(b, i+1); i < len(b); i = PlainEnd(b, i) {
		switch b[i] {
		case '"':
			return i + 1, escaped
		case '\\':
			if i = escapeEnd(b, i); i < 0 {
				return -1, true
			}
			escaped = true
		default:
			return -1, escaped
		}
	}
	return -1, escaped
}

// escapeEnd returns the index behind the escape whose backslash is at i.
func escapeEnd(b []byte, i int) int {
	if i+1 >= len(b) {
		return -1
	}
	switch b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		if _, ok := unhex4(b, i+2); ok {
			return i + 6
		}
	}
	return -1
}

// ScalarEnd checks the number, true, false or null that begins at i and returns the index behind it, or -1.
func ScalarEnd(b []byte, i int) int {
	rest := b[i:]
	switch {
	case len(rest) < 4:
	case string(rest[:4]) == "null", string(rest[:4]) == "true":
		return i + 4
	case len(rest) > 4 && string(rest[:5]) == "false":
		return i + 5
	}
	return numberEnd(b, i)
}

// numberEnd reads a number, RFC 8259 section 6.
func numberEnd(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	whole := DigitsEnd(b, i)
	if whole == i || b[i] == '0' && whole > i+1 {
		return -1
	}
	i = whole
	if i < len(b) && b[i] == '.' {
		if whole = DigitsEnd(b, i+1); whole == i+1 {
			return -1
		}
		i = whole
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if whole = DigitsEnd(b, i); whole == i {
			return -1
		}
		i = whole
	}
	return i
}

// DigitsEnd returns the index of the first byte at or after i that is not a decimal digit, or len(b).
func DigitsEnd(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}
