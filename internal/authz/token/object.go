package token

import (
	"bytes"
	"encoding/json"
	"errors"
)

// maxMembersOfObject is how many members an object in a token may have.
const maxMembersOfObject = 256

var (
	errNotObject      = errors.New("not a JSON object")
	errMemberTwice    = errors.New("a member occurs twice")
	errTooManyMembers = errors.New("too many members")
	errNotText        = errors.New("not a string")
)

// object is a JSON object as it was written. Two members of one name are an error and names differ in case, unlike
// with encoding/json: otherwise a token could say one thing to one reader and another to the next (RFC 7519,
// section 4).
type object []member

type member struct {
	name  []byte
	value json.RawMessage
}

// get finds a member. Objects in tokens are small: to look at all of them is faster than a map.
func (o object) get(name string) (json.RawMessage, bool) {
	for i := range o {
		if string(o[i].name) == name {
			return o[i].value, true
		}
	}
	return nil, false
}

// parseObject takes an object apart. data must be valid JSON, which is what spares the checks; the object keeps it.
// With json.Decoder and a map in its place the verification of an HS256 token makes 120 allocations more.
func parseObject(data []byte) (object, error) {
	s := scanner{data: bytes.TrimSpace(data)}
	if len(s.data) == 0 || s.data[0] != '{' {
		return nil, errNotObject
	}
	o := make(object, 0, 12)
	for s.pos = 1; s.next() != '}'; {
		if s.next() == ',' {
			s.pos++
		}
		name, err := unquote(s.value())
		if err != nil {
			return nil, errNotObject
		}
		if _, twice := o.get(string(name)); twice {
			return nil, errMemberTwice
		}
		if len(o) == maxMembersOfObject {
			return nil, errTooManyMembers
		}
		s.next()
		s.pos++ // the colon
		o = append(o, member{name, s.value()})
	}
	return o, nil
}

// scanner goes through valid JSON.
type scanner struct {
	data []byte
	pos  int
}

// next skips space and returns the byte it finds, without going past it.
func (s *scanner) next() byte {
	for s.data[s.pos] <= ' ' {
		s.pos++
	}
	return s.data[s.pos]
}

// value goes past the next value and returns it.
func (s *scanner) value() []byte {
	s.next()
	start, depth := s.pos, 0
	for {
		switch s.data[s.pos] {
		case '"':
			s.pos++
			for s.data[s.pos] != '"' {
				if s.data[s.pos] == '\\' {
					s.pos++
				}
				s.pos++
			}
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		s.pos++
		if depth == 0 && s.ends() {
			return s.data[start:s.pos]
		}
	}
}

// ends says whether the value that began before pos, and is in no bracket, is over.
func (s *scanner) ends() bool {
	switch s.data[s.pos] {
	case ',', ':', '}', ']', ' ', '\t', '\r', '\n':
		return true
	default:
		return false
	}
}

// unquote is the text of a JSON string. The usual one, ASCII without escapes, is its own text and not copied.
func unquote(value json.RawMessage) ([]byte, error) {
	if isPlain(value) {
		return value[1 : len(value)-1], nil
	}
	var decoded *string
	if err := json.Unmarshal(value, &decoded); err != nil || decoded == nil {
		return nil, errNotText
	}
	return []byte(*decoded), nil
}

func isPlain(value []byte) bool {
	if len(value) < 2 || value[0] != '"' {
		return false
	}
	for _, c := range value[1 : len(value)-1] {
		if c < ' ' || c > '~' || c == '\\' {
			return false
		}
	}
	return true
}
