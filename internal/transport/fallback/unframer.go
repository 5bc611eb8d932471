package fallback

import (
	"encoding/binary"

	"github.com/rte-server/rte-server/internal/transport/websocket"
)

// unframer takes the headers off the frames of the server. These are complete messages and not masked (RFC 6455 section
// 5.2). Its input may end anywhere. One goroutine may use it at a time.
type unframer struct {
	events bool // each message becomes an event of an event stream

	header  [websocket.HeaderSpace]byte
	have    int    // bytes of header
	inside  bool   // the header is complete
	control bool   // the frame is no message
	left    uint64 // missing bytes of the payload
	closed  bool   // there was a Close frame
}

const (
	opcodeBits = 0x0f
	lengthBits = 0x7f
	// length16 and length64 are lengths that announce a longer field.
	length16, length64 = 126, 127

	beforeEvent, behindEvent = "data: ", "\r\n\r\n"
)

// append adds the messages of the frames in p to dst. whole is the length of dst up to the end of the last complete
// message; it is at least the given one.
func (u *unframer) append(dst, p []byte, whole int) (_ []byte, _ int) {
	for len(p) > 0 {
		if !u.inside {
			u.header[u.have] = p[0]
			u.have++
			p = p[1:]
			if !u.begin() {
				continue
			}
			if u.events && !u.control {
				dst = append(dst, beforeEvent...)
			}
		}
		n := int(min(u.left, uint64(len(p)))) //nolint:gosec // not above len(p)
		if !u.control {
			dst = append(dst, p[:n]...)
			if u.events {
				flatten(dst[len(dst)-n:])
			}
		}
		p = p[n:]
		if u.left -= uint64(n); u.left > 0 {
			continue
		}
		if u.events && !u.control {
			dst = append(dst, behindEvent...)
		}
		u.inside, u.have, whole = false, 0, len(dst)
	}
	return dst, whole
}

// begin reads the header if it is complete, and reports whether it is.
func (u *unframer) begin() bool {
	if u.have < 2 {
		return false
	}
	switch length := u.header[1] & lengthBits; {
	case length == length64:
		if u.have < 10 {
			return false
		}
		u.left = binary.BigEndian.Uint64(u.header[2:])
	case length == length16:
		if u.have < 4 {
			return false
		}
		u.left = uint64(binary.BigEndian.Uint16(u.header[2:]))
	default:
		u.left = uint64(length)
	}
	opcode := u.header[0] & opcodeBits
	u.inside = true
	u.control = opcode >= websocket.OpClose
	u.closed = u.closed || opcode == websocket.OpClose
	return true
}

// flatten replaces the ends of lines by spaces: they would end the line of the event. In JSON they are between tokens
// only, and a space means the same there.
func flatten(p []byte) {
	for i, b := range p {
		if b == '\n' || b == '\r' {
			p[i] = ' '
		}
	}
}
