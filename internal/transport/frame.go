package transport

import (
	"encoding/binary"
	"math/bits"
)

// The opcodes of RFC 6455 section 5.2. Others are reserved.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa
)

// The status codes of RFC 6455 section 7.4.1 that the server sends.
const (
	statusNormal        = 1000
	statusProtocolError = 1002
	statusInvalidText   = 1007
	statusTooBig        = 1009
)

const (
	finBit       = 0x80
	reservedBits = 0x70
	opcodeBits   = 0x0f
	maskBit      = 0x80
	lengthBits   = 0x7f

	// headerSpace is the longest header of a frame of the server: server frames are not masked.
	headerSpace = 10
	// maxClientHeader is the longest header of a frame of a client, with its mask.
	maxClientHeader = headerSpace + 4
	// maxControl bounds the payload of a control frame (RFC 6455 section 5.5).
	maxControl = 125
)

// violation is what a client did against RFC 6455, and the status code that it is told. Zero: nothing.
type violation struct {
	status uint16
	what   violationKind
}

// violationKind is a violation as a metric label.
type violationKind string

// The violations of RFC 6455 that a client can commit.
const (
	violationReserved   violationKind = "reserved_bits"
	violationOpcode     violationKind = "reserved_opcode"
	violationUnmasked   violationKind = "unmasked"
	violationControl    violationKind = "bad_control_frame"
	violationFragment   violationKind = "bad_fragmentation"
	violationLength     violationKind = "frame_too_large"
	violationCloseFrame violationKind = "bad_close_frame"
)

// violationKinds are all violations.
var violationKinds = [...]violationKind{
	violationReserved, violationOpcode, violationUnmasked, violationControl, violationFragment, violationLength,
	violationCloseFrame,
}

// newFrame is a buffer for sealFrame with room for a payload.
func newFrame(payload int) []byte { return make([]byte, headerSpace, headerSpace+payload) }

// sealFrame makes a frame of buf, whose first headerSpace bytes are free and whose rest is the payload: it puts the
// header right before the payload and returns the frame.
func sealFrame(opcode byte, buf []byte) []byte {
	length := len(buf) - headerSpace
	start := headerSpace - headerLen(length)
	header := buf[start:headerSpace]
	header[0] = finBit | opcode
	switch len(header) {
	case 2:
		header[1] = byte(length) //nolint:gosec // bounded by headerLen
	case 4:
		header[1] = 126
		binary.BigEndian.PutUint16(header[2:], uint16(length)) //nolint:gosec // bounded by headerLen
	default:
		header[1] = 127
		binary.BigEndian.PutUint64(header[2:], uint64(length)) //nolint:gosec // a length is not negative
	}
	return buf[start:]
}

// headerLen is the length of the header of a server frame with the given payload.
func headerLen(payload int) int {
	switch {
	case payload <= 125:
		return 2
	case payload <= 0xffff:
		return 4
	default:
		return headerSpace
	}
}

// makeFrame is a frame with a copy of payload.
func makeFrame(opcode byte, payload []byte) []byte {
	return sealFrame(opcode, append(newFrame(len(payload)), payload...))
}

// appendCloseFrame adds a Close frame without a reason text (W8).
func appendCloseFrame(dst []byte, status uint16) []byte {
	return binary.BigEndian.AppendUint16(append(dst, finBit|opClose, 2), status)
}

// unmask undoes the masking of p, which begins pos bytes into a payload (RFC 6455 section 5.3).
func unmask(p []byte, key uint32, pos int) {
	key = bits.RotateLeft32(key, -8*pos)
	wide := uint64(key)<<32 | uint64(key)
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^wide)
		p = p[8:]
	}
	for i := range p {
		p[i] ^= byte(key >> (8 * (i & 3))) //nolint:gosec // one byte of the key is wanted
	}
}
