package load

import "encoding/binary"

// WebSocket opcodes (RFC 6455, section 5.2).
const (
	opContinuation = 0x0
	opText         = 0x1
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
)

// frame is a WebSocket frame in a buffer.
type frame struct {
	opcode  byte
	final   bool
	payload []byte
}

// cutFrame removes the first frame from data. ok is false if it is not complete yet. Frames of servers are not masked.
func cutFrame(data []byte) (f frame, rest []byte, ok bool) {
	if len(data) < 2 {
		return frame{}, data, false
	}
	head, n := 2, uint64(data[1]&0x7f)
	switch n {
	case 126:
		if len(data) < 4 {
			return frame{}, data, false
		}
		head, n = 4, uint64(binary.BigEndian.Uint16(data[2:]))
	case 127:
		if len(data) < 10 {
			return frame{}, data, false
		}
		head, n = 10, binary.BigEndian.Uint64(data[2:])
	}
	if uint64(len(data)-head) < n { //nolint:gosec // len(data) >= head
		return frame{}, data, false
	}
	end := head + int(n)
	return frame{opcode: data[0] & 0x0f, final: data[0]&0x80 != 0, payload: data[head:end]}, data[end:], true
}

// clientFrame returns a frame as clients send it. The mask is zero, so the payload does not change.
func clientFrame(opcode byte, payload []byte) []byte {
	dst := make([]byte, 0, 14+len(payload))
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, 0x80|opcode, 0x80|byte(n))
	case n < 1<<16:
		dst = append(dst, 0x80|opcode, 0x80|126, byte(n>>8), byte(n)) //nolint:gosec // the bytes of n
	default:
		dst = append(dst, 0x80|opcode, 0x80|127)
		dst = binary.BigEndian.AppendUint64(dst, uint64(n))
	}
	return append(append(dst, 0, 0, 0, 0), payload...)
}
