package jsonscan

import (
	"unicode/utf16"
	"unicode/utf8"
)

// Unquote returns the text of a JSON string, as encoding/json would decode it: a lone surrogate and every byte that is
// not UTF-8 become U+FFFD. ok is false if value is anything but one well-formed string, without white space around it.
// Text without escapes, in UTF-8, is a part of value and not copied.
func Unquote(value []byte) (text []byte, ok bool) {
	if len(value) < 2 || value[0] != '"' {
		return nil, false
	}
	end, escaped := StringEnd(value, 0)
	if end != len(value) {
		return nil, false
	}
	inside := value[1 : end-1]
	if utf8.Valid(inside) {
		return unescaped(inside, escaped), true
	}
	inside = validUTF8(inside)
	return unescaped(inside, escaped), true
}

// validUTF8 copies text with U+FFFD for every byte that is not UTF-8. bytes.ToValidUTF8 would write one for a run of
// them.
func validUTF8(text []byte) []byte {
	valid := make([]byte, 0, len(text)+2*utf8.UTFMax)
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		valid = utf8.AppendRune(valid, r)
		text = text[size:]
	}
	return valid
}

// unescaped returns the text of the inside of a string. It allocates if there are escapes.
func unescaped(inside []byte, escaped bool) []byte {
	if !escaped {
		return inside
	}
	return AppendUnescaped(make([]byte, 0, len(inside)), inside)
}

// AppendUnescaped adds the text of the inside of a string that StringEnd accepted to dst. A lone surrogate becomes
// U+FFFD, as in every language whose strings are UTF-8. The text is never longer than inside.
func AppendUnescaped(dst, inside []byte) []byte {
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

// unhex4 reads the four hexadecimal digits at i.
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

// unhex maps a byte to the value of its hexadecimal digit, 0xff for other bytes.
var unhex = func() (table [256]byte) {
	for i := range table {
		table[i] = 0xff
	}
	for i := range byte(10) {
		table['0'+i] = i
	}
	for i := range byte(6) {
		table['a'+i] = 10 + i
		table['A'+i] = 10 + i
	}
	return table
}()
