package websocket

import (
	"encoding/binary"
	"math/bits"
)

// The opcodes of RFC 6455 section 5.2. Others are reserved.
const (
	OpContinuation = 0x0
	OpText         = 0x1
	OpBinary       = 0x2
	OpClose        = 0x8
	OpPing         = 0x9
	OpPong         = 0xa
)

// The status codes of RFC 6455 section 7.4.1 that the server sends.
const (
	StatusNormal        = 1000
	StatusProtocolError = 1002
	StatusInvalidText   = 1007
	StatusTooBig        = 1009
)

const (
	finBit       = 0x80
	reservedBits = 0x70
	opcodeBits   = 0x0f
	maskBit      = 0x80
	lengthBits   = 0x7f

	// HeaderSpace is the length of the longest header of a server frame. Server frames are not masked.
	HeaderSpace = 10
	// maxClientHeader is the length of the longest header of a client frame, mask included.
	maxClientHeader = HeaderSpace + 4
	// maxControl bounds the payload of a control frame (RFC 6455 section 5.5).
	maxControl = 125
)

// Violation is a breach of RFC 6455 by a client. Its zero value is no violation.
type Violation struct {
	// Status is the status code of the Close frame that reports the violation to the client.
	Status uint16
	Kind   ViolationKind
}

// ViolationKind is the kind of a violation, as a metric label.
type ViolationKind string

// The violations of RFC 6455 that a client can commit.
const (
	ViolationReserved   ViolationKind = "reserved_bits"
	ViolationOpcode     ViolationKind = "reserved_opcode"
	ViolationUnmasked   ViolationKind = "unmasked"
	ViolationControl    ViolationKind = "bad_control_frame"
	ViolationFragment   ViolationKind = "bad_fragmentation"
	ViolationLength     ViolationKind = "frame_too_large"
	ViolationCloseFrame ViolationKind = "bad_close_frame"
	ViolationDeflate    ViolationKind = "bad_deflate"
)

// ViolationKinds returns all kinds of violations.
func ViolationKinds() []ViolationKind {
	return []ViolationKind{
		ViolationReserved, ViolationOpcode, ViolationUnmasked, ViolationControl, ViolationFragment, ViolationLength,
		ViolationCloseFrame, ViolationDeflate,
	}
}

// NewBuffer returns a buffer for Seal with room for a payload of the given length.
func NewBuffer(payload int) []byte { return make([]byte, HeaderSpace, HeaderSpace+payload) }

// Seal makes a frame in place. The first HeaderSpace bytes of buf are free, the rest is the payload. Seal writes the
// header right before the payload and returns the part of buf that is the frame.
func Seal(opcode byte, buf []byte) []byte {
	length := len(buf) - HeaderSpace
	start := HeaderSpace - headerLen(length)
	putHeader(buf[start:HeaderSpace], opcode, length)
	return buf[start:]
}

// AppendFrame adds a frame with the given payload to dst.
func AppendFrame(dst []byte, opcode byte, payload []byte) []byte {
	var header [HeaderSpace]byte
	n := headerLen(len(payload))
	putHeader(header[:n], opcode, len(payload))
	return append(append(dst, header[:n]...), payload...)
}

// putHeader writes the header of a frame whose payload has the given length. The header has headerLen bytes.
func putHeader(header []byte, opcode byte, length int) {
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
}

// headerLen returns the length of the header of a server frame whose payload has the given length.
func headerLen(payload int) int {
	switch {
	case payload <= 125:
		return 2
	case payload <= 0xffff:
		return 4
	default:
		return HeaderSpace
	}
}

// AppendClose adds a Close frame with a status code and without a reason text (W8) to dst.
func AppendClose(dst []byte, status uint16) []byte {
	return binary.BigEndian.AppendUint16(append(dst, finBit|OpClose, 2), status)
}

// unmask removes the mask of p in place; p begins pos bytes into a payload (RFC 6455 section 5.3).
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

// Open returns the opcode and the payload of a whole frame of the server.
func Open(frame []byte) (opcode byte, payload []byte) {
	return frame[0] & opcodeBits, frame[2+int(extendedLen(frame[1]&lengthBits)):]
}
