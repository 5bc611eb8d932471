package websocket

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// clientFrame returns a frame of a client: masked, with the given first byte.
func clientFrame(first byte, payload []byte) []byte {
	frame := []byte{first}
	switch n := len(payload); {
	case n <= 125:
		frame = append(frame, maskBit|byte(n))
	case n <= 0xffff:
		frame = binary.BigEndian.AppendUint16(append(frame, maskBit|126), uint16(n))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, maskBit|127), uint64(n))
	}
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	frame = append(frame, key[:]...)
	for i, b := range payload {
		frame = append(frame, b^key[i%4])
	}
	return frame
}

// partsOf reads a stream in pieces of the given size, and describes the parts in one text.
func partsOf(stream []byte, piece int) (string, Violation) {
	r := FrameReader{MaxFrame: 1 << 20}
	var parts []string
	var data []byte
	flush := func() {
		if data != nil {
			parts = append(parts, fmt.Sprintf("data %q", data))
			data = nil
		}
	}
	for stream := bytes.Clone(stream); len(stream) > 0; {
		p := stream[:min(piece, len(stream))]
		stream = stream[len(p):]
		for len(p) > 0 {
			part, rest, v := r.Next(p)
			if v != (Violation{}) {
				flush()
				return strings.Join(parts, ", "), v
			}
			p = rest
			switch part.Opcode {
			case 0:
			case OpText:
				if len(part.Payload) > 0 {
					data = append(data, part.Payload...)
				}
			default:
				flush()
				parts = append(parts, fmt.Sprintf("%#x %q", part.Opcode, part.Payload))
			}
		}
	}
	flush()
	return strings.Join(parts, ", "), Violation{}
}

// The cases follow the sections of the Autobahn test suite: 1 framing, 2 pings, 3 reserved bits, 4 opcodes,
// 5 fragmentation, 7 close handling. Section 6, UTF-8 in text messages, does not apply: messages of any type
// are a stream of bytes (W4, W5).
func TestFrameReader(t *testing.T) {
	long := strings.Repeat("*", 125)
	tests := []struct {
		name   string
		stream [][]byte
		want   string
		err    Violation
	}{
		{"1.1.1 empty text", [][]byte{clientFrame(0x81, nil)}, "", Violation{}},
		{"1.1.2 text", [][]byte{clientFrame(0x81, []byte("hello"))}, `data "hello"`, Violation{}},
		{"1.1.2 text of 125 bytes", [][]byte{clientFrame(0x81, []byte(long))}, fmt.Sprintf("data %q", long), Violation{}},
		{
			"1.1.3 text of 126 bytes",
			[][]byte{clientFrame(0x81, []byte(long+"1"))},
			fmt.Sprintf("data %q", long+"1"),
			Violation{},
		},
		{
			"1.1.4 text of 127 bytes",
			[][]byte{clientFrame(0x81, []byte(long+"12"))},
			fmt.Sprintf("data %q", long+"12"),
			Violation{},
		},
		{
			"1.1.6 text of 65535 bytes",
			[][]byte{clientFrame(0x81, bytes.Repeat([]byte("x"), 65535))},
			fmt.Sprintf("data %q", strings.Repeat("x", 65535)),
			Violation{},
		},
		{
			"1.1.7 text of 65536 bytes",
			[][]byte{clientFrame(0x81, bytes.Repeat([]byte("x"), 65536))},
			fmt.Sprintf("data %q", strings.Repeat("x", 65536)),
			Violation{},
		},
		{"1.2.2 binary", [][]byte{clientFrame(0x82, []byte{0, 0xff})}, `data "\x00\xff"`, Violation{}},
		{"2.1 ping without payload", [][]byte{clientFrame(0x89, nil)}, `0x9 ""`, Violation{}},
		{"2.3 ping with binary payload", [][]byte{clientFrame(0x89, []byte{0, 0xff})}, `0x9 "\x00\xff"`, Violation{}},
		{"2.4 ping with 125 bytes", [][]byte{clientFrame(0x89, []byte(long))}, fmt.Sprintf("0x9 %q", long), Violation{}},
		{
			"2.5 ping with 126 bytes",
			[][]byte{clientFrame(0x89, []byte(long+"1"))},
			"",
			Violation{StatusProtocolError, ViolationControl},
		},
		{"2.7 unsolicited pong", [][]byte{clientFrame(0x8a, nil)}, `0xa ""`, Violation{}},
		{
			"2.10 ten pings",
			[][]byte{bytes.Repeat(clientFrame(0x89, []byte("p")), 10)},
			strings.TrimSuffix(strings.Repeat(`0x9 "p", `, 10), ", "),
			Violation{},
		},
		{
			"3.1 first reserved bit",
			[][]byte{clientFrame(0xc1, []byte("x"))},
			"",
			Violation{StatusProtocolError, ViolationReserved},
		},
		{
			"3.2 good text, then second reserved bit",
			[][]byte{clientFrame(0x81, []byte("x")), clientFrame(0xa1, []byte("y")), clientFrame(0x89, nil)},
			`data "x"`,
			Violation{StatusProtocolError, ViolationReserved},
		},
		{
			"3.6 all reserved bits on a ping",
			[][]byte{clientFrame(0xf9, nil)},
			"",
			Violation{StatusProtocolError, ViolationReserved},
		},
		{"4.1.1 opcode 3", [][]byte{clientFrame(0x83, nil)}, "", Violation{StatusProtocolError, ViolationOpcode}},
		{"4.1.5 opcode 7", [][]byte{clientFrame(0x87, nil)}, "", Violation{StatusProtocolError, ViolationOpcode}},
		{"4.2.1 opcode 11", [][]byte{clientFrame(0x8b, nil)}, "", Violation{StatusProtocolError, ViolationOpcode}},
		{"4.2.5 opcode 15", [][]byte{clientFrame(0x8f, nil)}, "", Violation{StatusProtocolError, ViolationOpcode}},
		{
			"5.1 ping in two fragments",
			[][]byte{clientFrame(0x09, []byte("a")), clientFrame(0x80, []byte("b"))},
			"",
			Violation{StatusProtocolError, ViolationControl},
		},
		{
			"5.3 text in two fragments",
			[][]byte{clientFrame(0x01, []byte("a")), clientFrame(0x80, []byte("b"))},
			`data "ab"`,
			Violation{},
		},
		{
			"5.6 ping between fragments",
			[][]byte{clientFrame(0x01, []byte("a")), clientFrame(0x89, []byte("p")), clientFrame(0x80, []byte("b"))},
			`data "a", 0x9 "p", data "b"`,
			Violation{},
		},
		{
			"5.9 continuation of nothing",
			[][]byte{clientFrame(0x80, []byte("x"))},
			"",
			Violation{StatusProtocolError, ViolationFragment},
		},
		{
			"5.12 continuation after a whole message",
			[][]byte{clientFrame(0x81, []byte("x")), clientFrame(0x00, []byte("y"))},
			`data "x"`,
			Violation{StatusProtocolError, ViolationFragment},
		},
		{
			"5.18 text inside a fragmented message",
			[][]byte{clientFrame(0x01, []byte("a")), clientFrame(0x81, []byte("b"))},
			`data "a"`,
			Violation{StatusProtocolError, ViolationFragment},
		},
		{
			"5.19 empty fragments",
			[][]byte{clientFrame(0x01, nil), clientFrame(0x00, nil), clientFrame(0x80, []byte("b"))},
			`data "b"`,
			Violation{},
		},
		{"7.3.1 close without payload", [][]byte{clientFrame(0x88, nil)}, `0x8 ""`, Violation{}},
		{
			"7.3.2 close with one byte",
			[][]byte{clientFrame(0x88, []byte{3})},
			"",
			Violation{StatusProtocolError, ViolationCloseFrame},
		},
		{"7.3.3 close with status", [][]byte{clientFrame(0x88, []byte{3, 0xe8})}, `0x8 "\x03\xe8"`, Violation{}},
		{
			"7.3.4 close with reason", [][]byte{clientFrame(0x88, []byte("\x03\xe8bye"))}, `0x8 "\x03\xe8bye"`, Violation{},
		},
		{
			"7.3.6 close of 126 bytes",
			[][]byte{clientFrame(0x88, append([]byte{3, 0xe8}, long[:124]...))},
			"",
			Violation{StatusProtocolError, ViolationControl},
		},
		{
			"7.5.1 close with a reason that is not UTF-8",
			[][]byte{clientFrame(0x88, []byte("\x03\xe8\xff"))},
			"",
			Violation{StatusInvalidText, ViolationCloseFrame},
		},
		{
			"not masked", [][]byte{{0x81, 0x01, 'x'}}, "", Violation{StatusProtocolError, ViolationUnmasked},
		},
		{
			"a frame that would be 1 GB",
			[][]byte{{0x82, maskBit | 127, 0, 0, 0, 0, 0x40, 0, 0, 0, 1, 2, 3, 4}},
			"",
			Violation{StatusTooBig, ViolationLength},
		},
		{
			"a frame whose length is negative",
			[][]byte{{0x82, maskBit | 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4}},
			"",
			Violation{StatusTooBig, ViolationLength},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			stream := bytes.Join(test.stream, nil)
			for _, piece := range []int{1, 2, 3, 7, 64, 1 << 20} {
				got, err := partsOf(stream, piece)
				if got != test.want || err != test.err {
					t.Fatalf("in pieces of %d: %s, %+v; want %s, %+v", piece, got, err, test.want, test.err)
				}
			}
		})
	}
}

func TestCheckClose(t *testing.T) {
	good := map[uint16]bool{1000: true, 1001: true, 1002: true, 1003: true, 3000: true, 3999: true, 4000: true, 4999: true}
	for status := uint16(1007); status <= 1014; status++ {
		good[status] = true
	}
	for status := range uint16(6000) {
		err := checkClose(binary.BigEndian.AppendUint16(nil, status))
		if want := good[status] || status >= 3000 && status < 5000; (err == Violation{}) != want {
			t.Errorf("status %d: %v", status, err)
		}
	}
}

func TestUnmask(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		key := [4]byte{byte(random.Uint32()), byte(random.Uint32()), byte(random.Uint32()), byte(random.Uint32())}
		p := make([]byte, random.IntN(40))
		pos := random.IntN(4)
		want := make([]byte, len(p))
		for i := range p {
			p[i] = byte(random.Uint32())
			want[i] = p[i] ^ key[(pos+i)%4]
		}
		unmask(p, binary.LittleEndian.Uint32(key[:]), pos)
		if !bytes.Equal(p, want) {
			t.Fatalf("key %x from %d: %x, want %x", key, pos, p, want)
		}
	}
}

func TestSealFrame(t *testing.T) {
	for _, length := range []int{0, 1, 124, 125, 126, 127, 65534, 65535, 65536, 65537} {
		payload := bytes.Repeat([]byte{'p'}, length)
		frame := Seal(OpBinary, append(NewBuffer(length), payload...))
		// A mask of zeros makes a client frame of a server frame.
		header := len(frame) - length
		frame[1] |= maskBit
		frame = append(append(bytes.Clone(frame[:header]), 0, 0, 0, 0), frame[header:]...)
		want := ""
		if length > 0 {
			want = fmt.Sprintf("data %q", payload)
		}
		if got, err := partsOf(frame, 1<<20); err != (Violation{}) || got != want {
			t.Errorf("%d bytes: not read back: %v", length, err)
		}
	}
}

func FuzzFrameReader(f *testing.F) {
	f.Add(clientFrame(0x81, []byte("hello")), uint8(3))
	f.Add(
		bytes.Join([][]byte{clientFrame(0x01, []byte("a")), clientFrame(0x89, []byte("p")), clientFrame(0x80, nil)}, nil),
		uint8(1),
	)
	f.Add(clientFrame(0x88, []byte("\x03\xe8bye")), uint8(2))
	f.Add([]byte{0x82, maskBit | 127, 0, 0, 0, 0, 0x40, 0, 0, 0, 1, 2, 3, 4}, uint8(5))
	f.Fuzz(func(t *testing.T, stream []byte, piece uint8) {
		whole, wholeErr := partsOf(stream, 1<<20)
		pieces, piecesErr := partsOf(stream, int(piece)+1)
		if whole != pieces || wholeErr != piecesErr {
			t.Errorf("whole: %s, %v; in pieces of %d: %s, %v", whole, wholeErr, piece, pieces, piecesErr)
		}
	})
}
