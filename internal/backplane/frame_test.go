package backplane_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/rte-server/rte-server/internal/backplane"
)

var messages = map[string]struct {
	message string
	want    backplane.Position
	data    string
	bad     bool
}{
	"plain":             {message: `{"a":1}`, data: `{"a":1}`},
	"empty":             {},
	"framed":            {message: "#7 1700000000000-3\n{}", want: position(7, 1700000000000, 3), data: "{}"},
	"framed, no JSON":   {message: "#7 1-0\n", want: position(7, 1, 0)},
	"line feed in JSON": {message: "#7 1-0\n{\n}", want: position(7, 1, 0), data: "{\n}"},
	"largest numbers": {
		message: "#9223372036854775807 9223372036854775807-9223372036854775807\n{}",
		want:    position(1<<63-1, 1<<63-1, 1<<63-1), data: "{}",
	},
	"only a hash":        {message: "#", bad: true},
	"zero":               {message: "#0 1-0\n{}", bad: true},
	"no number":          {message: "# 1-0\n{}", bad: true},
	"number too long":    {message: "#99999999999999999999 1-0\n{}", bad: true},
	"no id":              {message: "#7\n{}", bad: true},
	"id without number":  {message: "#7 1\n{}", bad: true},
	"id of words":        {message: "#7 a-b\n{}", bad: true},
	"two spaces":         {message: "#7  1-0\n{}", bad: true},
	"carriage return":    {message: "#7 1-0\r\n{}", bad: true},
	"no line feed":       {message: "#7 1-0{}", bad: true},
	"line feed far away": {message: "#7 1-0" + string(bytes.Repeat([]byte(" "), 100)) + "\n{}", bad: true},
}

func position(n, ms, seq uint64) backplane.Position {
	return backplane.Position{N: n, ID: backplane.StreamID{Milliseconds: ms, Sequence: seq}}
}

func TestParseMessage_separatesPositionAndEvent(t *testing.T) {
	for name, test := range messages {
		t.Run(name, func(t *testing.T) {
			got, data, err := backplane.ParseMessage([]byte(test.message))
			if test.bad != errors.Is(err, backplane.ErrFrame) {
				t.Fatalf("error is %v", err)
			}
			if got != test.want || string(data) != test.data {
				t.Errorf("got %+v and %q, want %+v and %q", got, data, test.want, test.data)
			}
		})
	}
}

func FuzzParseMessage(f *testing.F) {
	for _, m := range messages {
		f.Add([]byte(m.message))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		p, data, err := backplane.ParseMessage(message)
		if err != nil || p.N == 0 {
			return
		}
		again := fmt.Appendf(nil, "#%d %s\n%s", p.N, p.ID, data)
		q, rest, err := backplane.ParseMessage(again)
		if err != nil || q != p || !bytes.Equal(rest, data) {
			t.Errorf("%q became %q, read as %+v, %v", message, again, q, err)
		}
	})
}

func TestStreamID_ordersAsRedisDoes(t *testing.T) {
	in := []backplane.StreamID{{}, {Sequence: 1}, {Milliseconds: 1}, {Milliseconds: 1, Sequence: 9}, {Milliseconds: 2}}
	for i, a := range in {
		for j, b := range in {
			if got := a.Compare(b); got != max(-1, min(1, i-j)) {
				t.Errorf("%s compared to %s is %d", a, b, got)
			}
		}
	}
}
