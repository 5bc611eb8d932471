package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

// FuzzSplitter checks that the events do not depend on how the body arrives, and that arrays have the elements that
// encoding/json finds.
func FuzzSplitter(f *testing.F) {
	for _, body := range []string{
		"", "\n\n", "{}\n{}", "[]", `[{"a":[{},"]\\\""]}, 1 ]`, "[1,]", "[,", "[[[", "]", `["`, `["\`, "[}]", "[1]2",
		"0123456789012345678901234567890\n1",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		const limit = 20
		whole, wholeErr := splitAll(bytes.NewReader(body), limit)
		slow, slowErr := splitAll(iotest.OneByteReader(bytes.NewReader(body)), limit)
		if !bytes.Equal(bytes.Join(whole, []byte("|")), bytes.Join(slow, []byte("|"))) || !errors.Is(slowErr, wholeErr) {
			t.Errorf("at once %q %v, slowly %q %v", whole, wholeErr, slow, slowErr)
		}
		var elements []json.RawMessage
		if trimmed := bytes.TrimLeft(body, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '[' ||
			json.Unmarshal(body, &elements) != nil {
			return
		}
		if len(elements) != len(whole) || wholeErr != nil {
			t.Fatalf("cut %q %v, want %q", whole, wholeErr, elements)
		}
		for i, element := range elements {
			want := bytes.TrimSpace(element)
			if len(want) > limit {
				want = []byte(errTooLong.Error())
			}
			if !bytes.Equal(whole[i], want) {
				t.Errorf("cut %q, want %q", whole[i], want)
			}
		}
	})
}

// splitAll returns the events of a body. The error is nil at its end.
func splitAll(body io.Reader, limit int) (all [][]byte, err error) {
	s := newSplitter(limit)
	s.reset(body, nil, nil)
	for {
		event, err := s.next()
		switch {
		case errors.Is(err, io.EOF):
			return all, nil
		case errors.Is(err, errTooLong):
			all = append(all, []byte(err.Error()))
		case err != nil:
			return all, err
		case len(event) > 0:
			all = append(all, bytes.Clone(event))
		}
	}
}
