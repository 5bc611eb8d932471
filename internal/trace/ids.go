package trace

import (
	"bytes"

	"github.com/rte-server/rte-server/internal/events"
)

// searched is the part of a refused message in which idOf looks, in bytes.
const searched = 4 << 10

// idOf finds the id that follows one of the names in a text that may be malformed JSON. It returns the zero id if there
// is none.
func idOf(data []byte, names ...string) (id events.ID) {
	data = data[:min(len(data), searched)]
	for _, name := range names {
		for rest := data; ; {
			i := bytes.Index(rest, []byte(name))
			if i < 0 {
				break
			}
			before := i == 0 || rest[i-1] == '"'
			rest = rest[i+len(name):]
			if !before || len(rest) == 0 || rest[0] != '"' {
				continue // a longer name
			}
			text := bytes.TrimLeft(rest[1:], ": \t\r\n\"")
			if id, ok := events.ParseID(text[:min(len(text), events.IDLen)]); ok {
				return id
			}
		}
	}
	return id
}
