package websocket

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"testing"
)

// mustDeflate compresses a message as RFC 7692 section 7.2.1 asks for.
func mustDeflate(t testing.TB, message []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := flate.NewWriter(&buf, 6)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(message)
	_ = w.Flush()
	return bytes.TrimSuffix(buf.Bytes(), []byte("\x00\x00\xff\xff"))
}

func TestInflate(t *testing.T) {
	var in Inflaters
	long := bytes.Repeat([]byte("0123456789"), 1000)
	for name, test := range map[string]struct {
		message []byte
		limit   int
		want    []byte
		err     error
	}{
		"RFC 7692 section 7.2.3.1": {[]byte("\xf2\x48\xcd\xc9\xc9\x07\x00"), 5, []byte("Hello"), nil},
		"stored, 7.2.3.3":          {[]byte("\x00\x05\x00\xfa\xffHello\x00"), 5, []byte("Hello"), nil},
		"final bit, 7.2.3.4":       {[]byte("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), 5, []byte("Hello"), nil},
		"two blocks, 7.2.3.5":      {[]byte("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), 5, []byte("Hello"), nil},
		"empty, 7.2.3.6":           {[]byte("\x00"), 0, []byte{}, nil},
		"final bit, nothing added": {[]byte("\xf3\x48\xcd\xc9\xc9\x07\x00"), 5, []byte("Hello"), nil},
		"bytes behind":             {[]byte("\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x48\xcd\xc9\xc9\x07"), 100, nil, ErrDeflate},
		"at the limit":             {mustDeflate(t, long), len(long), long, nil},
		"above the limit":          {mustDeflate(t, long), len(long) - 1, nil, ErrInflated},
		"garbage":                  {[]byte("\xff\xff"), 100, nil, ErrDeflate},
		"nothing":                  {nil, 100, nil, ErrDeflate},
	} {
		got, err := in.Inflate(test.message, test.limit)
		if !errors.Is(err, test.err) || err == nil && !bytes.Equal(got, test.want) {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
}

// FuzzInflate compares with an inflater without a bound, for results within the bound.
func FuzzInflate(f *testing.F) {
	f.Add([]byte("\xf2\x48\xcd\xc9\xc9\x07\x00"))
	f.Add(mustDeflate(f, bytes.Repeat([]byte("x"), 10_000)))
	var inflaters Inflaters
	f.Fuzz(func(t *testing.T, message []byte) {
		const limit = 1000
		got, err := inflaters.Inflate(message, limit)
		in := bytes.NewReader(append(bytes.Clone(message), inflateEnd...))
		want, failure := io.ReadAll(io.LimitReader(flate.NewReader(in), limit+1))
		if left := in.Len() - len(inflateEnd); left > 1 || left == 1 && message[len(message)-1] != 0 {
			failure = ErrDeflate // bytes behind the last block
		}
		switch {
		case len(got) > limit:
			t.Errorf("%d bytes", len(got))
		case len(want) > limit:
			if err == nil {
				t.Error("no error above the limit")
			}
		case (err == nil) != (failure == nil) || err == nil && !bytes.Equal(got, want):
			t.Errorf("got %q %v, want %q %v", got, err, want, failure)
		}
	})
}
