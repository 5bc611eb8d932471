package transport

import (
	"encoding/binary"
	"unicode/utf8"
)

// frameReader cuts the bytes of a client into WebSocket frames as they come. It keeps no payload but that of a control
// frame which has not come completely. Its zero value with maxFrame set is at the beginning of a connection.
type frameReader struct {
	maxFrame  uint64 // payload bytes of one frame
	remaining uint64 // payload bytes of the current frame that have not come
	control   []byte // payload of the current control frame that has come
	key       uint32 // mask of the current frame
	pos       uint32 // payload bytes of the current frame that have come, modulo 4
	header    [maxClientHeader]byte
	have      uint8 // bytes of header that have come
	opcode    byte  // of the current frame
	fin       bool  // of the current frame
	inPayload bool  // the header is complete
	inMessage bool  // a data message was begun and not finished
}

// framePart is what frameReader found: a piece of a data message, or a control frame.
type framePart struct {
	// opcode is opText for pieces of data of any kind (W4), opClose, opPing, opPong, or 0 if nothing was found.
	opcode byte
	// payload is valid as long as the bytes that were read; of a Close frame it is the status and the reason.
	payload []byte
}

// atBoundary says whether the next byte begins a frame.
func (r *frameReader) atBoundary() bool { return r.have == 0 && !r.inPayload }

// next takes bytes from p, at least one, up to the end of the first part in it, which it unmasks in place. After a
// violation the reader cannot go on.
func (r *frameReader) next(p []byte) (part framePart, rest []byte, v violation) {
	if !r.inPayload {
		if p, v = r.readHeader(p); !r.inPayload {
			return framePart{}, p, v
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
	if r.opcode < opClose {
		if complete {
			r.inMessage = !r.fin
		}
		return framePart{opText, payload}, rest, violation{}
	}
	if !complete || len(r.control) > 0 {
		r.control = append(r.control, payload...)
		payload = r.control
	}
	if !complete {
		return framePart{}, rest, violation{}
	}
	r.control = nil
	if r.opcode == opClose {
		v = checkClose(payload)
	}
	return framePart{r.opcode, payload}, rest, v
}

// readHeader takes header bytes from p. A header that is wrong is refused as soon as its first two bytes are there.
func (r *frameReader) readHeader(p []byte) (rest []byte, v violation) {
	for len(p) > 0 {
		r.header[r.have] = p[0]
		r.have++
		p = p[1:]
		if r.have < 2 {
			continue
		}
		if r.have == 2 {
			if v := r.checkHeader(); v.status != 0 {
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
		if r.remaining > r.maxFrame {
			return p, violation{statusTooBig, violationLength}
		}
		r.key = binary.LittleEndian.Uint32(r.header[2+extended:])
		r.pos = 0
		r.inPayload = true
		return p, violation{}
	}
	return p, violation{}
}

// extendedLen is the number of bytes of the extended payload length.
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
func (r *frameReader) checkHeader() violation {
	first, second := r.header[0], r.header[1]
	r.opcode = first & opcodeBits
	r.fin = first&finBit != 0
	switch {
	case first&reservedBits != 0:
		return violation{statusProtocolError, violationReserved}
	case r.opcode > opPong || r.opcode > opBinary && r.opcode < opClose:
		return violation{statusProtocolError, violationOpcode}
	case second&maskBit == 0:
		return violation{statusProtocolError, violationUnmasked}
	case r.opcode >= opClose && (!r.fin || second&lengthBits > maxControl):
		return violation{statusProtocolError, violationControl}
	case r.opcode < opClose && (r.opcode == opContinuation) != r.inMessage:
		return violation{statusProtocolError, violationFragment}
	}
	return violation{}
}

// checkClose checks the payload of a Close frame (RFC 6455 sections 5.5.1 and 7.4).
func checkClose(payload []byte) violation {
	if len(payload) == 0 {
		return violation{}
	}
	if len(payload) < 2 {
		return violation{statusProtocolError, violationCloseFrame}
	}
	switch status := binary.BigEndian.Uint16(payload); {
	case status < 1000, status >= 5000,
		status >= 1004 && status <= 1006,
		status >= 1015 && status < 3000:
		return violation{statusProtocolError, violationCloseFrame}
	}
	if !utf8.Valid(payload[2:]) {
		return violation{statusInvalidText, violationCloseFrame}
	}
	return violation{}
}
