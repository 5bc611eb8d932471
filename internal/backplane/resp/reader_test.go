package resp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

const testLimit = 1 << 20

// wire has replies of servers and their meaning. want is empty for replies that are refused.
var wire = map[string]struct{ in, want string }{
	"message":         {"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\nhello\r\n", "message c hello 0"},
	"sharded message": {"*3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$0\r\n\r\n", "message c  0"},
	"binary message":  {"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$4\r\n\r\n\x00\n\r\n", "message c \r\n\x00\n 0"},
	"subscribed":      {"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n", "subscribed c  0"},
	"ssubscribed":     {"*3\r\n$10\r\nssubscribe\r\n$1\r\nc\r\n:1\r\n", "subscribed c  0"},
	"unsubscribed":    {"*3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:0\r\n", "unsubscribed c  0"},
	"sunsubscribed":   {"*3\r\n$12\r\nsunsubscribe\r\n$1\r\nc\r\n:0\r\n", "unsubscribed c  0"},
	"pong":            {"*2\r\n$4\r\npong\r\n$0\r\n\r\n", "pong   0"},
	"simple pong":     {"+PONG\r\n", "pong   0"},
	"error":           {"-NOPERM no\r\n", "error  NOPERM no 0"},
	"message too long": {
		"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1048577\r\n" + strings.Repeat("x", 1048577) + "\r\n", "message c  1048577",
	},
	"null message":      {"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$-1\r\n", ""},
	"pattern message":   {"*4\r\n$8\r\npmessage\r\n$1\r\np\r\n$1\r\nc\r\n$1\r\nx\r\n", ""},
	"another kind":      {"*3\r\n$3\r\nfoo\r\n$1\r\nc\r\n:1\r\n", ""},
	"status":            {"+OK\r\n", ""},
	"number":            {":1\r\n", ""},
	"empty line":        {"\r\n", ""},
	"no carriage":       {"+PONG\n", ""},
	"empty array":       {"*0\r\n", ""},
	"bad array":         {"*x\r\n", ""},
	"bulk without end":  {"*3\r\n$7\r\nmessageXX$1\r\nc\r\n$1\r\nx\r\n", ""},
	"negative bulk":     {"*3\r\n$-7\r\nmessage\r\n", ""},
	"endless bulk":      {"*3\r\n$9223372036854775807\r\n", ""},
	"confirmation text": {"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n$1\r\n1\r\n", ""},
	"endless line":      {strings.Repeat("+", 1<<20), ""},
	"another protocol":  {"HTTP/1.1 400 Bad Request\r\n", ""},
}

func text(r Reply) string {
	kinds := map[ReplyKind]string{
		Message: "message", Subscribed: "subscribed", Unsubscribed: "unsubscribed",
		Pong: "pong", Error: "error",
	}
	return fmt.Sprintf("%s %s %s %d", kinds[r.Kind], r.Channel, r.Payload, r.Size)
}

func TestReader(t *testing.T) {
	for name, test := range wire {
		t.Run(name, func(t *testing.T) {
			for how, src := range map[string]io.Reader{
				"whole": strings.NewReader(test.in), "in bytes": iotest.OneByteReader(strings.NewReader(test.in)),
			} {
				r, err := NewReader(src, testLimit, &Pool{}).Next()
				if test.want == "" {
					if !errors.Is(err, ErrProtocol) {
						t.Errorf("%s: %q, %v; want ErrProtocol", how, text(r), err)
					}
				} else if err != nil || text(r) != test.want {
					t.Errorf("%s: %.80q, %v; want %.80q", how, text(r), err, test.want)
				}
			}
		})
	}
}

// Reading on must not change a reply that the reader has returned.
func TestReader_slicesStayValid(t *testing.T) {
	var in bytes.Buffer
	const count = 5000
	size := func(i int) int { return i * 7919 % 3000 }
	for i := range count {
		fmt.Fprintf(
			&in, "*3\r\n$7\r\nmessage\r\n$4\r\n%04d\r\n$%d\r\n%s\r\n", i, size(i),
			strings.Repeat(string(rune('a'+i%26)), size(i)),
		)
	}
	r := NewReader(&in, testLimit, &Pool{})
	var all []Reply
	for range count {
		m, err := r.Next()
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		all = append(all, m)
	}
	for i, m := range all {
		if string(m.Channel) != fmt.Sprintf("%04d", i) ||
			string(m.Payload) != strings.Repeat(string(rune('a'+i%26)), size(i)) {
			t.Fatalf("message %d is %.40q on %q", i, m.Payload, m.Channel)
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

// The pool reuses a chunk when its messages are released, unless one of them is kept.
func TestReader_chunksAreUsedAgain(t *testing.T) {
	one := "*3\r\n$7\r\nmessage\r\n$4\r\nlane\r\n$1024\r\n" + strings.Repeat("x", 1024) + "\r\n"
	for name, keep := range map[string]bool{"released": false, "kept": true} {
		t.Run(name, func(t *testing.T) {
			r := NewReader(&endless{data: []byte(strings.Repeat(one, 1000))}, testLimit, &Pool{})
			made := map[*byte]bool{}
			for range 10_000 {
				m, err := r.Next()
				if err != nil {
					t.Fatal(err)
				}
				made[&m.Chunk.data[0]] = true
				if keep {
					m.Chunk.Keep()
				}
				m.Chunk.Release(1)
			}
			if again := len(made) < 10_000*1024/ChunkSize/2; again == keep {
				t.Errorf("%d chunks were made", len(made))
			}
		})
	}
}

func FuzzReader(f *testing.F) {
	for _, w := range wire {
		if len(w.in) < 1<<10 {
			f.Add([]byte(w.in+w.in), byte(3))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, limit byte) {
		whole, bytewise := NewReader(
			bytes.NewReader(in), int(limit), &Pool{},
		), NewReader(iotest.OneByteReader(bytes.NewReader(in)), int(limit), &Pool{})
		for range 100 {
			a, err1 := whole.Next()
			b, err2 := bytewise.Next()
			if (err1 == nil) != (err2 == nil) || err1 == nil && text(a) != text(b) {
				t.Fatalf("%q, %v; byte by byte %q, %v", text(a), err1, text(b), err2)
			}
			if err1 != nil {
				return
			}
		}
	})
}

func TestAppendCommand(t *testing.T) {
	out := AppendCommand(nil, "SUBSCRIBE", 2)
	out = AppendBulk(out, "rte:org:1")
	out = AppendBulk(out, "")
	if want := "*3\r\n$9\r\nSUBSCRIBE\r\n$9\r\nrte:org:1\r\n$0\r\n\r\n"; string(out) != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

func BenchmarkReader(b *testing.B) {
	for _, size := range []int{256, 1024} {
		b.Run(fmt.Sprintf("%dBytes", size), func(b *testing.B) {
			one := fmt.Sprintf(
				"*3\r\n$7\r\nmessage\r\n$44\r\nrte:org:29f6e823-b484-e611-80c9-00505689257e\r\n$%d\r\n%s\r\n", size,
				strings.Repeat("x", size),
			)
			r := NewReader(&endless{data: []byte(strings.Repeat(one, 1000))}, testLimit, &Pool{})
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Next(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// endless repeats the same data.
type endless struct {
	data []byte
	pos  int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.data[e.pos:])
	e.pos = (e.pos + n) % len(e.data)
	return n, nil
}
