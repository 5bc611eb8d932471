package hubprotocol

import "bytes"

// Splitter cuts the bytes of a client into hub messages, wherever the frames that carried the bytes ended (W5). One
// goroutine may use it at a time.
type Splitter struct {
	// take finds the end of the hub message that begins with pending and continues with p. It returns how many bytes of p
	// belong to the message, and whether they complete it.
	take func(pending, p []byte, limit int) (n int, done bool, err error)
	// limit bounds a hub message, its separator or length prefix included (D8).
	limit   int
	pending []byte // the beginning of a hub message; nil between messages
}

// NewSplitter returns a Splitter that expects a handshake message. limit bounds every hub message, its separator or
// length prefix included (D8).
func NewSplitter(limit int) Splitter { return Splitter{take: takeJSON, limit: limit} }

// Switch makes the Splitter expect messages of a protocol from now on, with a limit of their own. It may be called
// between messages only.
func (s *Splitter) Switch(p *Protocol, limit int) { s.take, s.limit = p.codec.take, limit }

// Pending returns the memory of the incomplete message.
func (s *Splitter) Pending() int { return cap(s.pending) }

// Next reads p up to the end of the first hub message in it and returns the message, with its separator or length
// prefix, and the unread rest of p. A nil message with a nil error means that more bytes are needed. The message is
// valid until p is reused. The error is ErrTooLarge or ErrMalformed.
func (s *Splitter) Next(p []byte) (message, rest []byte, err error) {
	n, done, err := s.take(s.pending, p, s.limit)
	if err != nil {
		return nil, nil, err
	}
	if len(s.pending)+n > s.limit {
		return nil, nil, ErrTooLarge
	}
	switch {
	case !done:
		s.pending = append(s.pending, p[:n]...)
		return nil, nil, nil
	case s.pending == nil:
		return p[:n], p[n:], nil
	default:
		message = append(s.pending, p[:n]...)
		s.pending = nil
		return message, p[n:], nil
	}
}

// takeJSON finds the record separator.
func takeJSON(_, p []byte, _ int) (n int, done bool, err error) {
	if i := bytes.IndexByte(p, RecordSeparator); i >= 0 {
		return i + 1, true, nil
	}
	return len(p), false, nil
}

// maxPrefix is the longest length prefix of a MessagePack hub message. lastPrefixBits are the bits that its fifth byte
// may use: the length is an int32 (section 1.10).
const (
	maxPrefix      = 5
	lastPrefixBits = 0x07
)

// takeMessagePack reads the length prefix. It refuses a hub message that announces too large a length at once.
func takeMessagePack(pending, p []byte, limit int) (n int, done bool, err error) {
	length, prefix := 0, 0
	for {
		if prefix == len(pending)+len(p) {
			return len(p), false, nil
		}
		b := byteAt(pending, p, prefix)
		if prefix == maxPrefix-1 && b > lastPrefixBits {
			return 0, false, ErrMalformed
		}
		length |= int(b&0x7f) << (7 * prefix)
		prefix++
		if b < 0x80 {
			break
		}
	}
	if length > limit-prefix {
		return 0, false, ErrTooLarge
	}
	n = prefix + length - len(pending)
	if n > len(p) {
		return len(p), false, nil
	}
	return n, true, nil
}

// byteAt returns the byte at index i of a and b, read as one.
func byteAt(a, b []byte, i int) byte {
	if i < len(a) {
		return a[i]
	}
	return b[i-len(a)]
}
