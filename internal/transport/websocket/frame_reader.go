package websocket

import (
	"encoding/binary"
	"unicode/utf8"
)

// FrameReader cuts the bytes of a client into WebSocket frames. It keeps no payload except that of an incomplete
// control frame. Its zero value with MaxFrame set is ready for a new connection. One goroutine may use it at a time.
type FrameReader struct {
	// MaxFrame bounds the payload bytes of one frame.
	MaxFrame uint64
	// Deflate means that messages may be compressed (RFC 7692).
	Deflate bool

	remaining uint64 // payload bytes of the current frame that are missing
	control   []byte // received payload of the current control frame
	key       uint32 // mask of the current frame
	pos       uint32 // received payload bytes of the current frame, modulo 4
	header    [maxClientHeader]byte
	have      uint8 // received bytes of header
	opcode    byte  // of the current frame
	fin       bool  // of the current frame
	inPayload bool  // the header is complete
	inMessage bool  // a data message has begun and not ended
	deflated  bool  // the data message that began last is compressed
}

// Part is the result of FrameReader.Next: a piece of a data message, or a control frame.
type Part struct {
	// Opcode is OpText for a piece of data of any type (W4), OpClose, OpPing, OpPong, or 0 for nothing.
	Opcode byte
	// Compressed means that the piece of data belongs to a compressed message. End means that it is the last piece.
	Compressed, End bool
	// Payload is valid as long as the bytes given to Next. The payload of a Close frame is its status and its reason.
	Payload []byte
}

// AtBoundary reports whether the next byte begins a frame.
func (r *FrameReader) AtBoundary() bool { return r.have == 0 && !r.inPayload }

// Next reads p, which has at least one byte, up to the end of the first part in it. It removes the mask in place and
// returns the part and the unread rest of p. After a violation the reader is of no further use.
func (r *FrameReader) Next(p []byte) (part Part, rest []byte, v Violation) {
	if !r.inPayload {
		if p, v = r.readHeader(p); !r.inPayload {
			return Part{}, p, v
		}
	}
	n := len(p)
	if uint64(n) > r.remaining {
		n = int(r.remaining) //nolint:gosec // smaller than n
	}
	payload, rest := p[:n], p[n:]
	unmask(payload, r.key, int(r.pos))
	r.pos = (r.pos + uint32(n)) & 3 //nolint:gosec // only the lowest two bits count
	r.remaining -= uint64(n)
	complete := r.remaining == 0
	if complete {
		r.inPayload = false
		r.have = 0
	}
	if r.opcode < OpClose {
		if complete {
			r.inMessage = !r.fin
		}
		return Part{Opcode: OpText, Compressed: r.deflated, End: complete && r.fin, Payload: payload}, rest, Violation{}
	}
	if !complete || len(r.control) > 0 {
		r.control = append(r.control, payload...)
		payload = r.control
	}
	if !complete {
		return Part{}, rest, Violation{}
	}
	r.control = nil
	if r.opcode == OpClose {
		v = checkClose(payload)
	}
	return Part{Opcode: r.opcode, Payload: payload}, rest, v
}

// readHeader reads header bytes from p. It refuses a wrong header as soon as its first two bytes are there.
func (r *FrameReader) readHeader(p []byte) (rest []byte, v Violation) {
	for len(p) > 0 {
		r.header[r.have] = p[0]
		r.have++
		p = p[1:]
		if r.have < 2 {
			continue
		}
		if r.have == 2 {
			if v := r.checkHeader(); v.Status != 0 {
				return p, v
			}
		}
		extended := extendedLen(r.header[1] & lengthBits)
		if r.have < 2+extended+4 {
			continue
		}
		switch extended {
		case 0:
			r.remaining = uint64(r.header[1] & lengthBits)
		case 2:
			r.remaining = uint64(binary.BigEndian.Uint16(r.header[2:]))
		default:
			r.remaining = binary.BigEndian.Uint64(r.header[2:])
		}
		if r.remaining > r.MaxFrame {
			return p, Violation{StatusTooBig, ViolationLength}
		}
		r.key = binary.LittleEndian.Uint32(r.header[2+extended:])
		r.pos = 0
		r.inPayload = true
		return p, Violation{}
	}
	return p, Violation{}
}

// extendedLen returns the number of bytes of the extended payload length.
func extendedLen(length byte) uint8 {
	switch length {
	case 126:
		return 2
	case 127:
		return 8
	default:
		return 0
	}
}

// checkHeader checks the first two bytes of a header (RFC 6455 sections 5.1, 5.2, 5.4 and 5.5).
func (r *FrameReader) checkHeader() Violation {
	first, second := r.header[0], r.header[1]
	r.opcode = first & opcodeBits
	r.fin = first&finBit != 0
	switch {
	case first&reservedBits != 0 && !r.mayBeCompressed():
		return Violation{StatusProtocolError, ViolationReserved}
	case r.opcode > OpPong || r.opcode > OpBinary && r.opcode < OpClose:
		return Violation{StatusProtocolError, ViolationOpcode}
	case second&maskBit == 0:
		return Violation{StatusProtocolError, ViolationUnmasked}
	case r.opcode >= OpClose && (!r.fin || second&lengthBits > maxControl):
		return Violation{StatusProtocolError, ViolationControl}
	case r.opcode < OpClose && (r.opcode == OpContinuation) != r.inMessage:
		return Violation{StatusProtocolError, ViolationFragment}
	}
	if r.opcode == OpText || r.opcode == OpBinary {
		r.deflated = first&Compressed != 0
	}
	return Violation{}
}

// mayBeCompressed reports whether the reserved bits mean that a data message is compressed. Its first frame has the
// bit, no other frame may have one (RFC 7692 section 6).
func (r *FrameReader) mayBeCompressed() bool {
	return r.Deflate && r.header[0]&reservedBits == Compressed && (r.opcode == OpText || r.opcode == OpBinary)
}

// checkClose checks the payload of a Close frame (RFC 6455 sections 5.5.1 and 7.4).
func checkClose(payload []byte) Violation {
	if len(payload) == 0 {
		return Violation{}
	}
	if len(payload) < 2 {
		return Violation{StatusProtocolError, ViolationCloseFrame}
	}
	switch status := binary.BigEndian.Uint16(payload); {
	case status < 1000, status >= 5000,
		status >= 1004 && status <= 1006,
		status >= 1015 && status < 3000:
		return Violation{StatusProtocolError, ViolationCloseFrame}
	}
	if !utf8.Valid(payload[2:]) {
		return Violation{StatusInvalidText, ViolationCloseFrame}
	}
	return Violation{}
}
