package hubprotocol

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
)

type takeFunc = func(pending, p []byte, limit int) (n int, done bool, err error)

// splitAll cuts a stream that comes in pieces of the given size into hub messages.
func splitAll(take takeFunc, limit int, stream []byte, piece int) (messages []string, pending int, err error) {
	s := Splitter{take: take, limit: limit}
	for len(stream) > 0 {
		p := stream[:min(piece, len(stream))]
		stream = stream[len(p):]
		for {
			message, rest, err := s.Next(p)
			if err != nil {
				return messages, len(s.pending), err
			}
			if message == nil {
				break
			}
			messages = append(messages, string(message))
			p = rest
		}
	}
	return messages, len(s.pending), nil
}

func TestSplitter(t *testing.T) {
	packed := func(length int) string {
		return string(binary.AppendUvarint(nil, uint64(length))) + strings.Repeat("x", length)
	}
	tests := []struct {
		name   string
		take   takeFunc
		stream string
		want   []string
		err    error
	}{
		{"JSON, one", takeJSON, "{}\x1e", []string{"{}\x1e"}, nil},
		{"JSON, two and a beginning", takeJSON, "a\x1eb\x1ec", []string{"a\x1e", "b\x1e"}, nil},
		{"JSON, empty", takeJSON, "\x1e", []string{"\x1e"}, nil},
		{
			"JSON, as large as allowed", takeJSON, strings.Repeat("x", 99) + "\x1e",
			[]string{strings.Repeat("x", 99) + "\x1e"},
			nil,
		},
		{"JSON, too large", takeJSON, strings.Repeat("x", 100) + "\x1e", nil, ErrTooLarge},
		{"JSON, too large after a good one", takeJSON, "a\x1e" + strings.Repeat("x", 101), []string{"a\x1e"}, ErrTooLarge},
		{"MessagePack, one", takeMessagePack, packed(3), []string{packed(3)}, nil},
		{"MessagePack, two", takeMessagePack, packed(0) + packed(97), []string{packed(0), packed(97)}, nil},
		{"MessagePack, as large as allowed", takeMessagePack, packed(99), []string{packed(99)}, nil},
		{"MessagePack, too large", takeMessagePack, packed(100), nil, ErrTooLarge},
		{"MessagePack, prefix of 1 GB", takeMessagePack, "\x80\x80\x80\x80\x04", nil, ErrTooLarge},
		{"MessagePack, prefix beyond 2 GB", takeMessagePack, "\xff\xff\xff\xff\x08", nil, ErrMalformed},
		{"MessagePack, endless prefix", takeMessagePack, "\x80\x80\x80\x80\x80", nil, ErrMalformed},
		{"MessagePack, half a prefix", takeMessagePack, "\x80", nil, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, piece := range []int{1, 2, 3, 50, 1000} {
				got, _, err := splitAll(test.take, 100, []byte(test.stream), piece)
				if !slices.Equal(got, test.want) || !errors.Is(err, test.err) {
					t.Errorf("in pieces of %d: %q, %v; want %q, %v", piece, got, err, test.want, test.err)
				}
			}
		})
	}
}

func FuzzJSONSplitter(f *testing.F) {
	f.Add([]byte("{}\x1e{\"type\":6}\x1e"), uint8(3))
	f.Add(bytes.Repeat([]byte("x"), 200), uint8(7))
	f.Fuzz(func(t *testing.T, stream []byte, piece uint8) { checkSplitter(t, takeJSON, stream, int(piece)+1) })
}

func FuzzMessagePackSplitter(f *testing.F) {
	f.Add([]byte("\x02\x91\x06\x03\x92\x07\xc0"), uint8(1))
	f.Add([]byte("\x80\x80\x80\x80\x04"), uint8(2))
	f.Fuzz(func(t *testing.T, stream []byte, piece uint8) {
		checkSplitter(t, takeMessagePack, stream, int(piece)+1)
	})
}

// checkSplitter checks that the sizes of the pieces make no difference, that no byte is lost or added, and that the
// pending bytes stay within the limit.
func checkSplitter(t *testing.T, take takeFunc, stream []byte, piece int) {
	t.Helper()
	const limit = 100
	whole, _, wholeErr := splitAll(take, limit, stream, len(stream)+1)
	pieces, pending, piecesErr := splitAll(take, limit, stream, piece)
	if !slices.Equal(whole, pieces) || !errors.Is(wholeErr, piecesErr) {
		t.Fatalf("whole: %q, %v; in pieces of %d: %q, %v", whole, wholeErr, piece, pieces, piecesErr)
	}
	if joined := strings.Join(whole, ""); !bytes.HasPrefix(stream, []byte(joined)) {
		t.Fatalf("%q is not what came", joined)
	}
	if pending > limit {
		t.Fatalf("%d bytes are kept", pending)
	}
}

// A message that came in pieces belongs to the caller until the call that it makes has ended, while the pieces of the
// next one come.
func TestSplitter_messagesInPiecesKeepTheirBytes(t *testing.T) {
	s := NewSplitter(100)
	var first []byte
	for i, piece := range []string{"the first ", "one\x1e", "another one ", "as long\x1e"} {
		message, rest, err := s.Next([]byte(piece))
		if err != nil || len(rest) > 0 || (message != nil) != (i%2 == 1) {
			t.Fatalf("%q: %q, %q, %v", piece, message, rest, err)
		}
		if message != nil && s.Pending() != 0 {
			t.Errorf("%d bytes are kept between two messages", s.Pending())
		}
		if i == 1 {
			first = message
		}
	}
	if string(first) != "the first one\x1e" {
		t.Errorf("the first message became %q", first)
	}
}
