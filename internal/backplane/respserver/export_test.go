package respserver

import (
	"bufio"
	"bytes"
	"context"
	"io"

	"github.com/rte-server/rte-server/internal/backplane/resp"
)

// Talk executes all commands of a text.
func Talk(ctx context.Context, o Options, text []byte) {
	in := resp.NewCommandReader(bytes.NewReader(text), o.MaxBytes)
	c := &client{server: New(o), out: bufio.NewWriter(io.Discard)}
	for !c.over {
		command, err := in.Next()
		if err != nil {
			return
		}
		c.do(ctx, command)
	}
}
