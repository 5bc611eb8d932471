package events

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep objects and arrays may nest, the outermost object included. It is the limit of
// System.Text.Json, behind which a .NET client would fail to read the message.
const maxDepth = 64

// The functions of this file walk over JSON text by index. They take the index of the first byte of what they
// read and return the index behind it, or -1 if the text is not what it should be.

// skipSpace is the index of the first byte at or after i that is not white space of JSON.
func skipSpace(b []byte, i int) int {
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	return i
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// plainEnd is the index at or after i of the first byte that a string cannot go over without a second look:
// a quote, a backslash or a control character. It is len(b) if there is none.
func plainEnd(b []byte, i int) int {
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

// ones times a byte is eight times that byte.
const ones = 0x0101010101010101

// skipString goes over a string whose opening quote is at i. What is inside is not checked.
func skipString(b []byte, i int) int {
	i++
	length := bytes.IndexByte(b[i:], '"')
	if length < 0 {
		return -1
	}
	if b[i+length-1] != '\\' { // at least the opening quote stands there
		return i + length + 1
	}
	for i = plainEnd(b, i); i < len(b); i = plainEnd(b, i) {
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i += 2
		default:
			return -1
		}
	}
	return -1
}

// checkString goes over a string whose opening quote is at i and checks its escapes. Lone surrogates are
// well-formed JSON and pass.
func checkString(b []byte, i int) (end int, escaped bool) {
	for i = plainEnd(b, i+1); i < len(b); i = plainEnd(b, i) {
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

// escapeEnd goes over an escape whose backslash is at i.
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

// unhex4 reads four hexadecimal digits.
func unhex4(b []byte, i int) (unit uint16, ok bool) {
	if i+4 > len(b) {
		return 0, false
	}
	for _, c := range b[i : i+4] {
		digit := unhex[c]
		if digit > 0x0f {
			return 0, false
		}
		unit = unit<<4 | uint16(digit)
	}
	return unit, true
}

// appendUnescaped adds the text of the inside of a JSON string that checkString accepted. A lone surrogate
// becomes U+FFFD, as in every language whose strings are UTF-8.
func appendUnescaped(dst, inside []byte) []byte {
	for i := 0; i < len(inside); {
		if inside[i] != '\\' {
			end := i
			for end < len(inside) && inside[end] != '\\' {
				end++
			}
			dst = append(dst, inside[i:end]...)
			i = end
			continue
		}
		var r rune
		r, i = unescape(inside, i)
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

// unescape reads the escape whose backslash is at i, both halves of a surrogate pair at once.
func unescape(b []byte, i int) (r rune, next int) {
	switch c := b[i+1]; c {
	case 'b':
		return '\b', i + 2
	case 'f':
		return '\f', i + 2
	case 'n':
		return '\n', i + 2
	case 'r':
		return '\r', i + 2
	case 't':
		return '\t', i + 2
	case 'u':
		unit, _ := unhex4(b, i+2)
		next = i + 6
		if r = rune(unit); !utf16.IsSurrogate(r) {
			return r, next
		}
		if next+1 < len(b) && b[next] == '\\' && b[next+1] == 'u' {
			if low, ok := unhex4(b, next+2); ok {
				if pair := utf16.DecodeRune(r, rune(low)); pair != utf8.RuneError {
					return pair, next + 6
				}
			}
		}
		return utf8.RuneError, next
	default:
		return rune(c), i + 2
	}
}

// skipValue goes over a value without checking more than it must to find its end. depth is that of the
// object or array which the value stands in.
func skipValue(b []byte, i, depth int) (next int, why Reason) {
	if i >= len(b) {
		return -1, ReasonNotJSON
	}
	switch b[i] {
	case '"':
		if i = skipString(b, i); i < 0 {
			return -1, ReasonNotJSON
		}
		return i, reasonNone
	case '{', '[':
		return skipNested(b, i, depth)
	default:
		if i = checkScalar(b, i); i < 0 {
			return -1, ReasonNotJSON
		}
		return i, reasonNone
	}
}

// skipNested goes over the object or array that begins at i.
func skipNested(b []byte, i, depth int) (next int, why Reason) {
	outer := depth
	for i < len(b) {
		switch b[i] {
		case '"':
			if i = skipString(b, i); i < 0 {
				return -1, ReasonNotJSON
			}
			continue
		case '{', '[':
			if depth++; depth > maxDepth {
				return -1, ReasonTooDeep
			}
		case '}', ']':
			if depth--; depth == outer {
				return i + 1, reasonNone
			}
		}
		i++
	}
	return -1, ReasonNotJSON
}

// checkScalar goes over a number, true, false or null.
func checkScalar(b []byte, i int) int {
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

// numberEnd goes over a number, RFC 8259 section 6.
func numberEnd(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	whole := digitsEnd(b, i)
	if whole == i || b[i] == '0' && whole > i+1 {
		return -1
	}
	i = whole
	if i < len(b) && b[i] == '.' {
		if whole = digitsEnd(b, i+1); whole == i+1 {
			return -1
		}
		i = whole
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if whole = digitsEnd(b, i); whole == i {
			return -1
		}
		i = whole
	}
	return i
}

// digitsEnd is the index of the first byte at or after i that is not a decimal digit.
func digitsEnd(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}
