package backplane

import (
	"bytes"
	"cmp"
	"errors"
	"strconv"
)

// ErrFrame is the error of ParseMessage for a message that begins like a framed one but is malformed.
var ErrFrame = errors.New("malformed frame")

// Position is the place of an event in its lane, as the publishing function of Redis assigns it.
type Position struct {
	// N counts the events of the lane without gaps, from 1. 0: the event has no position.
	N uint64
	// ID is the id of the event in the lane's journal. It grows with every event, even over a failover that makes N go
	// back.
	ID StreamID
}

// StreamID is the id of an entry of a Redis stream: the time of the server in milliseconds and a number within it.
type StreamID struct {
	Milliseconds uint64
	Sequence     uint64
}

// Compare orders ids as Redis does.
func (id StreamID) Compare(other StreamID) int {
	return cmp.Or(cmp.Compare(id.Milliseconds, other.Milliseconds), cmp.Compare(id.Sequence, other.Sequence))
}

// IsZero reports whether the id precedes all others.
func (id StreamID) IsZero() bool { return id == StreamID{} }

// String returns the id as Redis writes it.
func (id StreamID) String() string {
	return strconv.FormatUint(id.Milliseconds, 10) + "-" + strconv.FormatUint(id.Sequence, 10)
}

// ParseStreamID parses an id as Redis writes it, with both numbers.
func ParseStreamID[T string | []byte](s T) (StreamID, bool) {
	ms, i := digits(s, 0)
	if i == 0 || i == len(s) || s[i] != '-' {
		return StreamID{}, false
	}
	seq, end := digits(s, i+1)
	if end == i+1 || end != len(s) {
		return StreamID{}, false
	}
	return StreamID{Milliseconds: ms, Sequence: seq}, true
}

// ParseMessage separates a message of a lane into its position and the JSON of its event. A message that begins with
// "#" consists of "#", N, a space, the stream id, a line feed and the JSON. Every other message is the JSON itself.
func ParseMessage(message []byte) (Position, []byte, error) {
	if len(message) == 0 || message[0] != '#' {
		return Position{}, message, nil
	}
	n, space := digits(message, 1)
	if n == 0 || space >= len(message) || message[space] != ' ' {
		return Position{}, nil, ErrFrame
	}
	// Two numbers of at most 20 digits, the hyphen and the line feed.
	line := bytes.IndexByte(message[space:min(len(message), space+43)], '\n')
	if line < 0 {
		return Position{}, nil, ErrFrame
	}
	id, ok := ParseStreamID(message[space+1 : space+line])
	if !ok {
		return Position{}, nil, ErrFrame
	}
	return Position{N: n, ID: id}, message[space+line+1:], nil
}

// digits parses a decimal number of at most 19 digits at s[i:] and returns its end, i if there is none.
func digits[T string | []byte](s T, i int) (n uint64, end int) {
	const longest = 19 // always fits; Redis ids are 13 digits until the year 2286
	for end = i; end < len(s) && end-i < longest && s[end] >= '0' && s[end] <= '9'; end++ {
		n = n*10 + uint64(s[end]-'0')
	}
	return n, end
}
