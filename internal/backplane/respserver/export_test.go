package respserver

import (
	"bufio"
	"bytes"
	"context"
	"io"
)

// Talk does all commands of a text.
func Talk(ctx context.Context, o Options, text []byte) {
	in := newReader(bytes.NewReader(text), o.MaxBytes)
	c := &client{server: New(o), out: bufio.NewWriter(io.Discard)}
	for !c.over {
		command, err := in.next()
		if err != nil {
			return
		}
		c.do(ctx, command)
	}
}
