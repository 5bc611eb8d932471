package resp

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
)

// randomReply writes a reply of up to a number of levels. It returns the number of elements that its arrays announce,
// and whether their lines have all the bytes that count.
func randomReply(random *rand.Rand, out *strings.Builder, levels int) (elements int) {
	children := func(n, announced int) int {
		for range n {
			announced += randomReply(random, out, levels-1)
		}
		return announced
	}
	kinds := 10
	if levels == 0 {
		kinds = 6
	}
	switch n := random.IntN(4); random.IntN(kinds) {
	case 0:
		fmt.Fprintf(out, "+%s\r\n", strings.Repeat("-9", n))
	case 1:
		fmt.Fprintf(out, ":%d\r\n", random.IntN(2000)-1000)
	case 2:
		text := strings.Repeat("x", random.IntN(30)) + []string{"", "\r\n", "*5\r\n", "$"}[n]
		fmt.Fprintf(out, "%s%d\r\n%s\r\n", []string{"$", "=", "!", "$"}[n], len(text), text)
	case 3:
		fmt.Fprintf(out, "%s-1\r\n", []string{"$", "*", "$", "*"}[n])
	case 4:
		out.WriteString([]string{"_\r\n", "#t\r\n", ",1.5\r\n", "(123\r\n"}[n])
	case 5:
		fmt.Fprintf(out, "%s0\r\n", []string{"*", "~", "%", ">"}[n])
	case 6, 7:
		fmt.Fprintf(out, "%s%d\r\n", []string{"*", "~", ">", "*"}[n], n)
		return children(n, n)
	case 8:
		fmt.Fprintf(out, "%%%d\r\n", n)
		return children(2*n, 2*n)
	default: // attributes, and what they belong to
		fmt.Fprintf(out, "|%d\r\n", n)
		return children(2*n+1, 2*n+1)
	}
	return 0
}

// TestChecker_seesTheEndOfEachReply lets random replies arrive byte by byte. The checker must be between two replies at
// their ends and nowhere else, and must accept each reply at its exact limits and refuse it one below.
func TestChecker_seesTheEndOfEachReply(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		var text strings.Builder
		elements := randomReply(random, &text, 4)
		reply := []byte(text.String())
		limits := Limits{Elements: elements, Bulk: 40, Total: len(reply)}
		c := NewChecker(limits)
		fresh := *c
		for range 2 { // the second reply must not count the first one
			for i := range reply {
				if err := c.Check(reply[i : i+1]); err != nil {
					t.Fatalf("%q: %v", reply[:i+1], err)
				}
				got := *c
				got.pending = fresh.pending // holds what is left of earlier replies
				if ended := got == fresh; ended != (i == len(reply)-1) {
					t.Fatalf("%q: ended is %v: %+v", reply[:i+1], ended, got)
				}
			}
		}
		if err := c.Check(bytes.Repeat(reply, 3)); err != nil {
			t.Fatalf("three times %q: %v", reply, err)
		}
		if elements > 0 {
			limits.Elements--
			if err := NewChecker(limits).Check(reply); !errors.Is(err, ErrTooLarge) {
				t.Fatalf("%q with %d elements: %v", reply, elements, err)
			}
		}
	}
}

// Limits hold exactly.
func TestChecker_limitsBytes(t *testing.T) {
	limits := Limits{Elements: 100, Bulk: 10, Total: 30}
	for reply, fits := range map[string]bool{
		"$10\r\n0123456789\r\n":                   true,
		"$11\r\n":                                 false,
		"!11\r\n":                                 false,
		"=11\r\n":                                 false,
		"*2\r\n$10\r\n0123456789\r\n$6\r\n":       true,
		"*2\r\n$10\r\n0123456789\r\n$8\r\n":       false,
		"+" + strings.Repeat("x", 27) + "\r\n":    true,
		"+" + strings.Repeat("x", 28) + "\r\n":    false,
		"*2\r\n:1\r\n+" + strings.Repeat("x", 30): true, // the line has not ended
	} {
		err := NewChecker(limits).Check([]byte(reply))
		if (err == nil) != fits || err != nil && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%q: %v", reply, err)
		}
	}
	for _, length := range []string{"$/", "*:", "%1-", "$1 ", "*--1", ">x", "~x", "=x", "!x", "|x"} {
		reply := []byte(length + "\r\n")
		if err := NewChecker(limits).Check(reply); !errors.Is(err, ErrProtocol) {
			t.Errorf("%q: %v", reply, err)
		}
	}
}

// TestCommandReader_readsWhatClientsWrite reads commands of clients and people, whole and byte by byte.
func TestCommandReader_readsWhatClientsWrite(t *testing.T) {
	const largest = 20
	long, most := strings.Repeat("x", largest), strings.Repeat("x|", maxArguments-1)+"x"
	for name, test := range map[string]struct {
		in   string
		want []string // commands, their arguments joined by |
		err  string   // then; "": the end
	}{
		"arrays": {
			"*2\r\n$3\r\nGET\r\n$2\r\na\n\r\n*1\r\n$4\r\nPING\r\n", []string{"GET|a\n", "PING"}, "",
		},
		"an empty argument":     {"*2\r\n$3\r\nGET\r\n$0\r\n\r\n", []string{"GET|"}, ""},
		"the largest argument":  {"*1\r\n$20\r\n" + long + "\r\n", []string{long}, ""},
		"lines":                 {"\r\n PING \r\nSET a 'b c' \t d\n", []string{"PING", "SET|a|b c|d"}, ""},
		"empty arrays":          {"*0\r\n*-1\r\nPING\r\n", []string{"PING"}, ""},
		"most arguments":        {"*64\r\n" + strings.Repeat("$1\r\nx\r\n", 64), []string{most}, ""},
		"too many arguments":    {"*65\r\n", nil, "64 arguments"},
		"words without end":     {strings.Repeat("x ", 65) + "\r\n", nil, "64 arguments"},
		"no number":             {"*x\r\n", nil, "64 arguments"},
		"no bulk string":        {"*1\r\n:1\r\n", nil, "bulk string"},
		"an empty line within":  {"*1\r\n\r\n", nil, "bulk string"},
		"no length":             {"*1\r\n$x\r\n", nil, "bulk string"},
		"a negative length":     {"*1\r\n$-1\r\n", nil, "bulk string"},
		"a large argument":      {"*1\r\n$21\r\n", nil, "bulk string"},
		"longer than it says":   {"*1\r\n$1\r\nxx\r\n", nil, "longer than it says"},
		"a quote that is open":  {"SET 'a\r\n", nil, "quote"},
		"cut off":               {"*1\r\n$4\r\nPI", nil, "unexpected EOF"},
		"cut off in its header": {"*2\r\n$4\r\nPING\r\n", nil, "EOF"},
		"a line without end":    {strings.Repeat("x", maxLine+1), nil, "more than"},
	} {
		for _, bytewise := range []bool{false, true} {
			r := NewCommandReader(strings.NewReader(test.in), largest)
			if bytewise {
				r = NewCommandReader(iotest.OneByteReader(strings.NewReader(test.in)), largest)
			}
			var got []string
			var kept [][][]byte
			for {
				command, err := r.Next()
				if err != nil {
					if want := test.err; !strings.Contains(err.Error(), want) || want == "" && err.Error() != "EOF" ||
						want != "" && !strings.Contains(want, "EOF") && !errors.Is(err, ErrProtocol) {
						t.Errorf("%s: error %v, want one about %q", name, err, want)
					}
					break
				}
				kept = append(kept, command)
			}
			for _, command := range kept { // a later command must not overwrite it
				got = append(got, string(bytes.Join(command, []byte("|"))))
			}
			if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", test.want) {
				t.Errorf("%s: got %q, want %q", name, got, test.want)
			}
		}
	}
}
