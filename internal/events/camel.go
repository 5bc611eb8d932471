package events

import (
	"unicode"
	"unicode/utf8"
)

// CamelCase returns a property name in camel case, by the rule of .NET's JsonNamingPolicy.CamelCase. It lowers the run
// of upper-case letters at the start of the name, without the last of several letters if a lower-case letter follows.
// MessageTTLSeconds becomes messageTTLSeconds, CallBackId callBackId, ID id and IPAddress ipAddress.
func CamelCase(name string) string {
	return string(appendCamel(make([]byte, 0, len(name)), []byte(name)))
}

// camelRun returns how many bytes at the start of name camel case lowers. ok is false if that depends on letters beyond
// ASCII.
func camelRun(name []byte) (n int, ok bool) {
	if len(name) > 1 && isUpper(name[0]) && isLower(name[1]) { // as nearly all names are
		return 1, true
	}
	for i, c := range name {
		if c >= utf8.RuneSelf {
			return 0, false
		}
		if !isUpper(c) {
			break
		}
		if i > 0 && i+1 < len(name) {
			next := name[i+1]
			if next >= utf8.RuneSelf {
				return 0, false
			}
			if !isUpper(next) {
				if next == ' ' {
					n++
				}
				break
			}
		}
		n++
	}
	return n, true
}

func isUpper(c byte) bool { return c-'A' <= 'Z'-'A' }

func isLower(c byte) bool { return c-'a' <= 'z'-'a' }

// appendCamel appends the camel case of name, in any script, to dst.
func appendCamel(dst, name []byte) []byte {
	first := true
	for len(name) > 0 {
		r, size := utf8.DecodeRune(name)
		if !isUpperUnit(r) {
			break
		}
		if rest := name[size:]; !first && len(rest) > 0 {
			if next, _ := utf8.DecodeRune(rest); !isUpperUnit(next) {
				if next == ' ' {
					dst = utf8.AppendRune(dst, lowerUnit(r))
					name = rest
				}
				break
			}
		}
		dst = utf8.AppendRune(dst, lowerUnit(r))
		name = name[size:]
		first = false
	}
	return append(dst, name...)
}

// isUpperUnit reports what char.IsUpper of .NET reports. That function sees UTF-16 units, so no letter beyond the first
// plane is upper case.
func isUpperUnit(r rune) bool { return r <= 0xffff && unicode.IsUpper(r) }

// lowerUnit returns what char.ToLowerInvariant of .NET returns. That function does not change the dotted capital I.
func lowerUnit(r rune) rune {
	const dottedI = '\u0130'
	if r == dottedI {
		return r
	}
	return unicode.ToLower(r)
}
