package transport

import (
	"bytes"
	"errors"
)

// recordSeparator ends every JSON hub message and every handshake message.
const recordSeparator = 0x1e

var (
	// errTooLarge says that a hub message is longer than the limit (D8).
	errTooLarge = errors.New("hub message exceeds the limit")
	// errMalformed says that a hub message is not what the protocol allows (D7).
	errMalformed = errors.New("malformed hub message")
)

// splitter cuts a stream of bytes into hub messages, wherever the frames that carried the bytes ended (W5).
type splitter struct {
	// take finds the end of the hub message that begins with pending and goes on with p: it says how many bytes of p
	// belong to it as far as p goes, and whether they complete it.
	take func(pending, p []byte, limit int) (n int, done bool, err error)
	// limit bounds a hub message, its separator or length prefix included (D8).
	limit   int
	pending []byte // the beginning of a hub message; nil between messages
}

// next takes bytes from p up to the end of the first hub message in it. A nil message with a nil error says that more
// bytes are needed. The message, with its separator or length prefix, is valid until p is reused.
func (s *splitter) next(p []byte) (message, rest []byte, err error) {
	n, done, err := s.take(s.pending, p, s.limit)
	if err != nil {
		return nil, nil, err
	}
	if len(s.pending)+n > s.limit {
		return nil, nil, errTooLarge
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
	if i := bytes.IndexByte(p, recordSeparator); i >= 0 {
		return i + 1, true, nil
	}
	return len(p), false, nil
}

// maxPrefix is the longest length prefix of a MessagePack hub message, and lastPrefixBits what its fifth byte may
// hold: the length is an int32 (section 1.10).
const (
	maxPrefix      = 5
	lastPrefixBits = 0x07
)

// takeMessagePack reads the length prefix. It does not wait for a hub message that is announced as too large.
func takeMessagePack(pending, p []byte, limit int) (n int, done bool, err error) {
	length, prefix := 0, 0
	for {
		if prefix == len(pending)+len(p) {
			return len(p), false, nil
		}
		b := byteAt(pending, p, prefix)
		if prefix == maxPrefix-1 && b > lastPrefixBits {
			return 0, false, errMalformed
		}
		length |= int(b&0x7f) << (7 * prefix)
		prefix++
		if b < 0x80 {
			break
		}
	}
	if length > limit-prefix {
		return 0, false, errTooLarge
	}
	n = prefix + length - len(pending)
	if n > len(p) {
		return len(p), false, nil
	}
	return n, true, nil
}

// byteAt is the byte at index i of the bytes of a and b together.
func byteAt(a, b []byte, i int) byte {
	if i < len(a) {
		return a[i]
	}
	return b[i-len(a)]
}
