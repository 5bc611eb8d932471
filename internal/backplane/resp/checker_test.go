package resp

import (
	"errors"
	"strings"
	"testing"
)

var testLimits = Limits{Elements: 100, Bulk: 1000, Total: 5000}

func TestChecker_boundsReplies(t *testing.T) {
	many := func(n int, text string) string { return strings.Repeat(text, n) }
	for name, test := range map[string]struct {
		in   string
		want error
	}{
		"all kinds": {
			"+OK\r\n-ERR x\r\n:-1\r\n$3\r\na\r\n\r\n$-1\r\n*-1\r\n*0\r\n_\r\n#t\r\n,1.5\r\n(123\r\n=5\r\ntxt:x\r\n", nil,
		},
		"arrays":                 {"*2\r\n*1\r\n$1\r\nx\r\n%1\r\n+a\r\n:1\r\n|1\r\n+a\r\n+b\r\n:1\r\n", nil},
		"as many as permitted":   {"*100\r\n" + many(100, ":1\r\n"), nil},
		"many replies":           {many(1000, "*50\r\n"+many(50, ":1\r\n")), nil},
		"10^9 elements":          {"*1000000000\r\n", ErrTooLarge},
		"10^9 pairs":             {"%1000000000\r\n", ErrTooLarge},
		"sums of elements":       {many(3, "*40\r\n*0\r\n"), ErrTooLarge},
		"arrays within arrays":   {many(17, "*1\r\n"), ErrTooLarge},
		"a long string":          {"$1001\r\n", ErrTooLarge},
		"many strings":           {"*6\r\n" + many(6, "$1000\r\n"+many(1000, "x")+"\r\n"), ErrTooLarge},
		"a long line":            {"+" + many(maxLine, "x"), ErrTooLarge},
		"a length of many nines": {"*" + many(30, "9") + "\r\n", ErrTooLarge},
		"no length":              {"$x\r\n", ErrProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			whole, bytewise := NewChecker(testLimits), NewChecker(testLimits)
			var single error
			for i := 0; i < len(test.in) && single == nil; i++ {
				single = bytewise.Check([]byte{test.in[i]})
			}
			err := whole.Check([]byte(test.in))
			if !errors.Is(err, test.want) || !errors.Is(single, test.want) {
				t.Errorf("got %v, byte by byte %v; want %v", err, single, test.want)
			}
			if test.want == nil && (whole.depth != 0 || whole.total != 0 || whole.kind != 0 || whole.skip != 0) {
				t.Errorf("the last reply is not complete: %+v", whole)
			}
		})
	}
}

func FuzzChecker(f *testing.F) {
	f.Add([]byte("*2\r\n$1\r\nx\r\n:1\r\n"), 3)
	f.Add([]byte("%1\r\n+a\r\n*-1\r\n"), 1)
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		whole, parts := NewChecker(testLimits), NewChecker(testLimits)
		cut = min(max(cut, 0), len(in))
		err := parts.Check(in[:cut])
		if err == nil {
			err = parts.Check(in[cut:])
		}
		if other := whole.Check(in); (err == nil) != (other == nil) || err == nil && *whole != *parts {
			t.Fatalf("in parts %v, whole %v", err, other)
		}
	})
}

func BenchmarkChecker(b *testing.B) {
	reply := []byte(
		"*50\r\n" + strings.Repeat(
			"*2\r\n$15\r\n1700000000000-0\r\n*2\r\n$1\r\nd\r\n$1024\r\n"+strings.Repeat("x", 1024)+"\r\n", 50,
		),
	)
	c := NewChecker(Limits{Elements: 1 << 20, Bulk: 1 << 20, Total: 1 << 30})
	b.SetBytes(int64(len(reply)))
	for b.Loop() {
		if err := c.Check(reply); err != nil {
			b.Fatal(err)
		}
	}
}
