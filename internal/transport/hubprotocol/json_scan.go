package hubprotocol

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// maxDepth is how deep the objects and arrays of a hub message may nest, the message itself included (section 1.6).
const maxDepth = 64

// jsonScanner walks over one JSON text and checks it on the way. Its methods leave the position behind what they
// read; ok is false where the text is not JSON (RFC 8259).
type jsonScanner struct {
	text  []byte
	pos   int
	depth int
}

// scanObject reads the object that the whole text is, and calls member with each name and the raw text of its value.
func scanObject(text []byte, member func(name string, value []byte) error) error {
	s := jsonScanner{text: text}
	if !utf8.Valid(text) || s.peek() != '{' {
		return ErrMalformed
	}
	err := s.members(func(name, value []byte) error {
		key, ok := unquote(name)
		if !ok {
			return ErrMalformed
		}
		return member(key, value)
	})
	if err != nil {
		return err
	}
	if s.space(); s.pos != len(text) {
		return ErrMalformed
	}
	return nil
}

// scanArray calls element with the raw text of each element of the array that text is. The text was scanned before.
func scanArray(text []byte, element func(value []byte) error) error {
	s := jsonScanner{text: text}
	if s.peek() != '[' {
		return ErrMalformed
	}
	return s.elements(element)
}

// unquote is the value of a JSON string that was scanned before; ok is false for other values.
func unquote(text []byte) (value string, ok bool) {
	if len(text) < 2 || text[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(text, '\\') >= 0 {
		err := json.Unmarshal(text, &value)
		return value, err == nil
	}
	return string(text[1 : len(text)-1]), true
}

// peek skips white space and is the byte behind it, 0 at the end.
func (s *jsonScanner) peek() byte {
	s.space()
	if s.pos == len(s.text) {
		return 0
	}
	return s.text[s.pos]
}

func (s *jsonScanner) space() {
	for s.pos < len(s.text) {
		switch s.text[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// skip takes c, if it comes next behind white space.
func (s *jsonScanner) skip(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.pos++
	return true
}

// value reads any value and is its raw text, without white space around it.
func (s *jsonScanner) value() (text []byte, ok bool) {
	c := s.peek()
	start := s.pos
	switch {
	case c == '{':
		ok = s.members(nil) == nil
	case c == '[':
		ok = s.elements(nil) == nil
	case c == '"':
		ok = s.str()
	case c == '-' || isDigit(c):
		ok = s.number()
	case c == 't':
		ok = s.literal("true")
	case c == 'f':
		ok = s.literal("false")
	case c == 'n':
		ok = s.literal("null")
	}
	return s.text[start:s.pos], ok
}

// members reads an object whose opening brace comes next.
func (s *jsonScanner) members(member func(name, value []byte) error) error {
	if s.depth++; s.depth > maxDepth {
		return ErrMalformed
	}
	s.pos++
	for first := true; !s.skip('}'); first = false {
		if !first && !s.skip(',') || s.peek() != '"' {
			return ErrMalformed
		}
		start := s.pos
		if !s.str() {
			return ErrMalformed
		}
		name := s.text[start:s.pos]
		if !s.skip(':') {
			return ErrMalformed
		}
		value, ok := s.value()
		if !ok {
			return ErrMalformed
		}
		if member != nil {
			if err := member(name, value); err != nil {
				return err
			}
		}
	}
	s.depth--
	return nil
}

// elements reads an array whose opening bracket comes next.
func (s *jsonScanner) elements(element func(value []byte) error) error {
	if s.depth++; s.depth > maxDepth {
		return ErrMalformed
	}
	s.pos++
	for first := true; !s.skip(']'); first = false {
		if !first && !s.skip(',') {
			return ErrMalformed
		}
		value, ok := s.value()
		if !ok {
			return ErrMalformed
		}
		if element != nil {
			if err := element(value); err != nil {
				return err
			}
		}
	}
	s.depth--
	return nil
}

// str reads a string whose opening quote comes next.
func (s *jsonScanner) str() bool {
	for i := s.pos + 1; i < len(s.text); i++ {
		switch c := s.text[i]; {
		case c == '"':
			s.pos = i + 1
			return true
		case c < ' ':
			return false
		case c == '\\':
			length := escapeLen(s.text[i+1:])
			if length == 0 {
				return false
			}
			i += length
		}
	}
	return false
}

// escapeLen is the length of the escape that text begins with, behind its backslash; 0 if it is none.
func escapeLen(text []byte) int {
	if len(text) == 0 {
		return 0
	}
	switch text[0] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 1
	case 'u':
		if len(text) < 5 {
			return 0
		}
		for _, c := range text[1:5] {
			if !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
				return 0
			}
		}
		return 5
	default:
		return 0
	}
}

// number reads a number whose first byte comes next.
func (s *jsonScanner) number() bool {
	if s.text[s.pos] == '-' {
		s.pos++
	}
	if s.pos < len(s.text) && s.text[s.pos] == '0' {
		s.pos++
	} else if !s.digits() {
		return false
	}
	if s.pos < len(s.text) && s.text[s.pos] == '.' {
		s.pos++
		if !s.digits() {
			return false
		}
	}
	if s.pos < len(s.text) && s.text[s.pos]|0x20 == 'e' {
		s.pos++
		if s.pos < len(s.text) && (s.text[s.pos] == '+' || s.text[s.pos] == '-') {
			s.pos++
		}
		return s.digits()
	}
	return true
}

// digits reads at least one digit.
func (s *jsonScanner) digits() bool {
	start := s.pos
	for s.pos < len(s.text) && isDigit(s.text[s.pos]) {
		s.pos++
	}
	return s.pos > start
}

func (s *jsonScanner) literal(word string) bool {
	if len(s.text)-s.pos < len(word) || string(s.text[s.pos:s.pos+len(word)]) != word {
		return false
	}
	s.pos += len(word)
	return true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
