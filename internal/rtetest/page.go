package rtetest

import (
	"os"
	"strings"
	"testing"
)

// MustReplaceBlock replaces the text in a page that a make target has made. The comments before and behind it name the
// target: <!-- made by make TARGET: begin --> and the same with end.
func MustReplaceBlock(t testing.TB, page, target, block string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- made by make "+target+": begin -->\n", "<!-- made by make "+target+": end -->\n"
	before, rest, found := strings.Cut(string(text), begin)
	_, after, complete := strings.Cut(rest, end)
	if !found || !complete {
		t.Fatalf("%s has no markers", page)
	}
	MustReplaceFile(t, page, []byte(before+begin+"\n"+block+"\n"+end+after))
}
